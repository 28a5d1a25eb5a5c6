"""Before any test of this folder imports torch: one thread, as in the worker; two fight over busy cores."""

from kokex.kronos.threads import settle

settle(1)
