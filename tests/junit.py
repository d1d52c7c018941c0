"""Prints "PASSED FAILED" of JUnit files (ctest's and pytest's), and names what failed on standard error."""

import sys
import xml.etree.ElementTree as tree


def main(paths):
    passed = failed = 0
    for path in paths:
        for case in tree.parse(path).iter("testcase"):
            status = case.get("status", "run")
            if status in ("notrun", "disabled") or case.find("skipped") is not None:
                continue
            if status == "fail" or case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"failed: {case.get('classname')} {case.get('name')}", file=sys.stderr)
            else:
                passed += 1
    print(passed, failed)
    return 0 if passed + failed else 1


sys.exit(main(sys.argv[1:]))
