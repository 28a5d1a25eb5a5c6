"""The texts of prompts, read from disk."""

from pathlib import Path

from kokex.brain.wording import SECTIONS, BadWording, Wording, builtin


def read_wording(folder: str) -> Wording:
    """The built-in texts, and in their place the files of `folder` ("" for none). Raises BadWording."""
    texts = builtin()
    if folder:
        path = Path(folder)
        try:
            found = sorted(file for file in path.iterdir() if file.suffix == ".md")
            for file in found:
                if file.stem not in SECTIONS:
                    raise BadWording(f"{file}: no text of that name is used; there are {', '.join(SECTIONS)}")
                texts[file.stem] = file.read_text(encoding="utf-8")
        except OSError as error:
            raise BadWording(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BadWording(f"{path}: holds a file that is not UTF-8 text") from None
    return Wording(texts)
