"""Takes out of a wheel what would make two builds of one source differ: the SBOM's random serial number, the moment, the
directory it was built in. Nothing else is touched, and RECORD is written anew.

Usage: finish_wheel.py FILE.whl. The time is SOURCE_DATE_EPOCH, or none.
"""

import base64
import hashlib
import json
import os
import re
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path


def stable(sbom: bytes) -> bytes:
    """The same bill of materials, whenever and wherever it is made."""
    bill = json.loads(sbom)
    bill.pop("serialNumber", None)
    bill["metadata"].pop("timestamp", None)
    if "SOURCE_DATE_EPOCH" in os.environ:
        moment = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
        bill["metadata"]["timestamp"] = moment.isoformat().replace("+00:00", "Z")
    return re.sub(rb"path\+file:///[^\"#]*", b"path+file:///voxwire", json.dumps(bill, indent=2).encode())


def main(wheel: Path) -> None:
    """Rewrite the file in place."""
    with zipfile.ZipFile(wheel) as archive:
        files = [(info, archive.read(info)) for info in archive.infolist()]
    sums = {}
    for n, (info, data) in enumerate(files):
        if "/sboms/" in info.filename:
            files[n] = (info, stable(data))
            digest = base64.urlsafe_b64encode(hashlib.sha256(files[n][1]).digest()).rstrip(b"=").decode()
            sums[info.filename] = f"{info.filename},sha256={digest},{len(files[n][1])}"
    with zipfile.ZipFile(wheel, "w") as archive:
        for info, data in files:
            if info.filename.endswith(".dist-info/RECORD"):
                lines = [sums.get(line.split(",")[0], line) for line in data.decode().splitlines()]
                data = ("\n".join(lines) + "\n").encode()  # noqa: PLW2901 - the one file that follows from the others
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
