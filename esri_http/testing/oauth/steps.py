"""The steps that may stand between the right password and the app: one-time code, new password, terms, consent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable, NamedTuple

from ..accounts import User
from .pages import FormField
from .proofs import is_totp
from .settings import App, OAuthSettings

_SHORTEST_PASSWORD = 8


class Step(NamedTuple):
    """One page with a form. `name` and `action` are paths below `oauth2/`: where the page is, and where its form is posted.

    `button`: the text of its button, which sends `agreement` (where there is one) as "true". `is_due` says whether a user of
    an app has to take the step at all. `check` looks at the form, at a moment in epoch seconds, does what it asks for, and says
    what is wrong with it, or "".
    """

    name: str
    action: str
    title: str
    fields: tuple[FormField, ...]
    button: str
    agreement: str
    is_due: Callable[[User, App, OAuthSettings], bool]
    check: Callable[[User, Mapping[str, str], float], str]


def is_true(text: str) -> bool:
    """Whether a parameter says yes."""
    return text.lower() == "true"


def _check_second_factor(user: User, form: Mapping[str, str], now: float) -> str:
    recovery_code = form.get("recovery_code", "").strip()
    if recovery_code in user.recovery_codes:
        user.recovery_codes.discard(recovery_code)
        return ""
    codes = [form.get(name, "").strip() for name in ("mfa_code", "totp", "authResponse")]
    return "" if any(is_totp(user.totp_seed or "", code, now) for code in codes) else "The code is not valid."


def _check_new_password(user: User, form: Mapping[str, str], now: float) -> str:
    new = form.get("newPassword", "")
    if form.get("confirmPassword", new) != new:
        return "The passwords are not the same."
    if len(new) < _SHORTEST_PASSWORD or new == user.password:
        return f"A new password of at least {_SHORTEST_PASSWORD} characters is needed."
    user.password = new
    user.must_change_password = False
    return ""


def _check_terms(user: User, form: Mapping[str, str], now: float) -> str:
    user.has_accepted_terms = is_true(form.get("acceptTermsAndConditions", ""))
    return "" if user.has_accepted_terms else "The terms and conditions were not accepted."


def _check_consent(user: User, form: Mapping[str, str], now: float) -> str:
    return "" if is_true(form.get("authorize", "")) else "The app was not allowed."


#: In the order in which they come.
STEPS = (
    Step(
        "mfa",
        "mfa",
        "Multifactor authentication",
        (FormField("mfa_code", "Code"), FormField("recovery_code", "Recovery code")),
        "Verify",
        "",
        lambda user, app, settings: user.totp_seed is not None,
        _check_second_factor,
    ),
    Step(
        "updateUserProfile",
        "resetPassword",
        "Change your password",
        (FormField("newPassword", "New password", "password"), FormField("confirmPassword", "Again", "password")),
        "Save",
        "",
        lambda user, app, settings: user.must_change_password,
        _check_new_password,
    ),
    Step(
        "acceptTermsAndConditions",
        "acceptTermsAndConditions",
        "Terms and conditions",
        (),
        "Accept",
        "acceptTermsAndConditions",
        lambda user, app, settings: settings.has_terms_and_conditions and not user.has_accepted_terms,
        _check_terms,
    ),
    Step(
        "consent",
        "consent",
        "Request for permission",
        (),
        "Allow",
        "authorize",
        lambda user, app, settings: app.asks_consent,
        _check_consent,
    ),
)
