"""The emulators with both tenants, for many processes that each serve a product of their own beside them.

As a program it writes where everything is into a file, then waits until its standard input ends.
"""

import asyncio
import sys
from pathlib import Path

from two_tenants import emulators, fill, product, share, write_root


async def main(file: Path) -> None:
    root, folder = file.parent / "root", file.parent / "emulators"
    write_root(root)
    async with emulators(folder, root) as stack:
        async with product(stack) as running:
            await share(running, await fill(running), file)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
