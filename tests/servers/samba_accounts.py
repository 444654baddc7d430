"""Fills a directory that `samba-tool domain provision` has made, before Samba runs on it: `samba.py` says with what.

A program of its own, because Samba's Python modules are Debian's and exist for Debian's Python only. JSON on stdin:
``{"smb_conf": path, "base": "DC=...", "keytab": path, "accounts": [...]}``; an account is the mapping that `Account` makes.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

LOCK_OUT_MINUTES = 30
LOCK_OUT_THRESHOLD = 50
"""Without a threshold Samba counts no bad passwords. This one is out of reach, and a right password sets the count back."""
LONG_AGO = "129000000000000000"  # in 2009, in the 100 ns since 1601 of Windows
OLDEST_PASSWORD_DAYS = 1000
"""The directory may be kept for long, and its passwords with it."""

STATES = {
    "": {},
    "expired": {},  # see `outdate`
    "must change": {"pwdLastSet": "0"},
    "disabled": {"userAccountControl": "514"},
    "left": {"accountExpires": LONG_AGO},
}
"""The states of an account: its password has expired or was set by an administrator; it is disabled; its time is over."""


def main() -> None:
    """Set the policy, make the accounts, write the keytab."""
    from samba.auth import system_session
    from samba.param import LoadParm
    from samba.samdb import SamDB

    wanted = json.load(sys.stdin)
    settings = LoadParm()
    settings.load(wanted["smb_conf"])
    directory = SamDB(session_info=system_session(), lp=settings)
    minutes = str(-LOCK_OUT_MINUTES * 60 * 10**7)
    policy = {"minPwdAge": "0", "maxPwdAge": str(-OLDEST_PASSWORD_DAYS * 86_400 * 10**7)}
    policy["lockoutThreshold"] = str(LOCK_OUT_THRESHOLD)
    policy.update(lockoutDuration=minutes, lockOutObservationWindow=minutes)
    modify(directory, wanted["base"], policy)
    for account in wanted["accounts"]:
        add(directory, wanted["base"], account)
    write_keytab(settings, wanted["keytab"], [name for account in wanted["accounts"] for name in account["services"]])
    # That a password is old cannot be said through Samba's own layers, so it is said below them, when they are done.
    file = os.path.join(settings.get("private dir"), "sam.ldb.d", wanted["base"].upper() + ".ldb")
    outdate(file, [user_dn(account["name"], wanted["base"]) for account in wanted["accounts"] if account["state"] == "expired"])


def user_dn(name: str, base: str) -> str:
    """Where an account is in the directory."""
    return f"CN={name},CN=Users,{base}"


def add(directory: Any, base: str, account: dict[str, Any]) -> None:
    """One account. A service's encryption types come before its last password: keys are made when that is set."""
    name, password = account["name"], account["password"]
    directory.newuser(name, password)
    values = STATES[account["state"]]
    if account["services"]:
        values = {"servicePrincipalName": account["services"], "msDS-SupportedEncryptionTypes": "24"}  # AES only
    if values:
        modify(directory, user_dn(name, base), values)
    if account["services"]:
        directory.setpassword(f"(sAMAccountName={name})", password)


def modify(directory: Any, dn: str, values: dict[str, Any]) -> None:
    """Replace attributes of an entry."""
    import ldb

    message = ldb.Message(ldb.Dn(directory, dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
    directory.modify(message)


def write_keytab(settings: Any, path: str, services: list[str]) -> None:
    """The keys of `services`, as their servers need them."""
    import samba.dckeytab  # noqa: F401  # gives Net the method
    from samba.credentials import Credentials
    from samba.net import Net

    net = Net(Credentials(), settings)
    for name in services:
        net.export_keytab(keytab=path, principal=name)


def outdate(file: str, names: list[str]) -> None:
    """Let the passwords of `names` be years old, in the database below Samba's layers."""
    import ldb

    database = ldb.Ldb(file)
    for name in names:
        modify(database, name, {"pwdLastSet": LONG_AGO})


if __name__ == "__main__":
    main()
