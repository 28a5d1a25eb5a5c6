"""Pictures: PNG by matplotlib in a short-lived process, HTML without anything."""
