"""The pages that a browser sees while a user signs in: plain forms that work, with the script that scripted clients read."""

from __future__ import annotations

import html
import json
from typing import Any, NamedTuple

from ..messages import Answer

_DOCUMENT = """<!DOCTYPE html>
<html lang="en">
    <head>
        <meta charset="UTF-8">
        <meta name="viewport" content="width=device-width, initial-scale=1.0">
        <meta name="referrer" content="origin">
        <link rel="icon" href="data:,">
        <title>%s</title>
%s    </head>
    <body>
%s
    </body>
</html>
"""
_SCRIPT = "        <script>\n            var oAuthInfo = %s%s\n        </script>\n"
_STRANGE_SCRIPT = '        <script>window.__boot = "signin-2";</script>\n'
_FORM = """        <h1>%s</h1>
%s        <form id="%s" method="post" action="%s">
            <input type="hidden" name="oauth_state" value="%s">
%s%s        </form>"""
_FIELD = '            <label>%s <input type="%s" name="%s" id="%s" value="%s"></label>\n'
_BUTTON = '            <button type="submit"%s>%s</button>\n'
_CANCEL_BUTTON = ' name="cancel" id="cancel" value="true"'


class FormField(NamedTuple):
    """One input of a form; `kind` is its HTML type."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""


class Form(NamedTuple):
    """A form that goes on with a sign-in. `button`: the text of its submit button; `agreement`: what that sends as "true"."""

    title: str
    name: str
    action: str
    oauth_state: str
    fields: tuple[FormField, ...]
    button: str
    agreement: str = ""
    has_cancel: bool = True

    def markup(self, problem: str = "") -> str:
        """The form as HTML, below what went wrong with the one before."""
        fields = [_FIELD % tuple(map(html.escape, (f.label, f.kind, f.name, f.name, f.value))) for f in self.fields]
        chosen = f' name="{self.agreement}" value="true"' if self.agreement else ""
        # Enter in a field presses the first button of a form: it must not be "Cancel".
        buttons = _BUTTON % (' id="submit"' + chosen, html.escape(self.button))
        if self.has_cancel:
            buttons += _BUTTON % (_CANCEL_BUTTON, "Cancel")
        alert = f'        <p role="alert">{html.escape(problem)}</p>\n' if problem else ""
        title, name, action, state = map(html.escape, (self.title, self.name, self.action, self.oauth_state))
        return _FORM % (title, alert, name, action, state, "".join(fields), buttons)


def form_page(form: Form, info: dict[str, Any], layout: str = "full", terminator: str = ";", problem: str = "") -> Answer:
    """A page with a form. `layout` and `terminator` as `OAuthSettings.page_layout` and `script_terminator`."""
    script = oauth_info_script(info, terminator) if layout in ("full", "script") else ""
    markup = form.markup(problem) if layout in ("full", "form") else '        <div id="signin-root"></div>'
    return document(form.title, markup, script or (_STRANGE_SCRIPT if layout == "changed" else ""))


def oauth_info_script(info: dict[str, Any], terminator: str) -> str:
    """The script that assigns `oAuthInfo`; nothing in it can end the script element."""
    text = json.dumps(info, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return _SCRIPT % (text, terminator)


def document(title: str, markup: str, script: str = "", status: int = 200) -> Answer:
    """A whole page. `markup` and `script` are HTML already, `title` is not."""
    return Answer(status, (_DOCUMENT % (html.escape(title), script, markup)).encode())


def error_page(text: str, code: int = 400, status: int = 200) -> Answer:
    """The page that a portal shows where it refuses to begin."""
    lines = ("<h1>ArcGIS Portal Directory</h1>", "<h2>Error</h2>", f"<p>{html.escape(text)}</p>", f"<p>Error: {code}</p>")
    return document("Error", "\n".join("        " + line for line in lines), status=status)


def approval_page(code: str) -> Answer:
    """Where the code is shown to somebody who carries it to the app by hand; the title says it, too."""
    field = f'        <input type="text" id="code" value="{html.escape(code)}" readonly>'
    return document(f"SUCCESS code={code}", "        <h1>Copy this code into the app</h1>\n" + field)


def message_page(title: str, text: str) -> Answer:
    """A page that only says something."""
    return document(title, f"        <h1>{html.escape(title)}</h1>\n        <p>{html.escape(text)}</p>")


def identity_provider_page(info: dict[str, Any], terminator: str) -> Answer:
    """The sign-in page of an organisation where nobody signs in with a built-in account."""
    provider = info["federationInfo"]
    link = f'        <a id="idp" href="{html.escape(provider["idpAuthorizeUrl"])}">{html.escape(provider["idpName"])}</a>'
    return document("Sign In", "        <h1>Sign In</h1>\n" + link, oauth_info_script(info, terminator))
