"""What a session can do with whole files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..messages.response import Response
    from .progress import ProgressCallback


class TransferVerbs:
    """`download` and `upload`, for the class of sessions."""

    def download(
        self,
        url: str,
        path: Any,
        *,
        progress: ProgressCallback | None = None,
        resume: bool = True,
        params: Any = None,
        **options: Any,
    ) -> str:
        """GET `url` into the file `path`, in constant memory; returns the absolute path of the file.

        `path` is text or a `pathlib.Path`; a symbolic link there stays, and the file goes to where it leads. Into a folder (or
        what ends like one) the file goes under the name that the server gives it (RFC 6266), or else the last part of the
        URL; such a name is made harmless first. A file or link of that name is replaced, so give a folder of its own. `params`
        and `options` are those of `request` for one call (`headers`, `auth`, `timeout` ...), but there is no `deadline` for
        all of it unless you give one: the read time-out watches over the silence, and the session's deadline over the time
        until each answer begins.

        The file appears whole or not at all, and what was there before stays until then; its permissions hold for the new
        one. The bytes gather in ``<file>.part``, with a note about them in ``<file>.part.json``. Where the connection breaks,
        the rest is asked for (RFC 9110 section 14), again and again, until five attempts in a row got no further. What is
        there then stays, and the next call with `resume` goes on from there, if the server says that the file is still the
        same; `resume=False` begins anew. Servers that give no parts, or nothing to know the file by, begin anew, too. Two
        downloads to one `path` at the same time are an error for the second.

        ``progress(done, total)`` is told the bytes that are there and those of the whole file (`None`: not known): at the
        beginning, then at most about ten times a second, and at the end. It may raise something to cancel; that comes out
        as it is. In a tool of ArcGIS Pro::

            arcpy.SetProgressor("step", "Downloading", 0, 100)
            session.download(url, path, progress=lambda done, total: arcpy.SetProgressorPosition(100 * done // (total or 1)))

        with a check of ``arcpy.env.isCancelled`` in it to let people stop.

        Raises `EsriHttpResponseError` for an HTTP error or an ArcGIS error (there is no file then), `LocalFileError` for
        what cannot be written here, `ConnectionLostError` and its kin, `DeadlineExceededError`. A sign-in page that a server
        sends with status 200 is a file like another.
        """
        from .download import Download

        return Download(self, url, path, progress, resume, params, options).run()

    def upload(
        self,
        url: str,
        path: Any,
        *,
        field: str = "file",
        name: str | None = None,
        content_type: str | None = None,
        data: Any = None,
        method: str = "POST",
        progress: ProgressCallback | None = None,
        **options: Any,
    ) -> Response:
        """Send the file `path` as multipart/form-data (RFC 7578), in constant memory; returns the answer, whatever it is.

        It goes into the form field `field` under the file name `name` (`None`: its own), as `content_type` (`None`: by its
        ending), after the form fields `data` (a dict, such as ``{"f": "json"}``). `options` are those of `request` for one
        call; there is no `deadline` unless you give one. `progress` is as for `download`, with the bytes of the file that
        were handed over; when it has to be sent again, after a sign-in for example, `done` begins at 0 again.

        Raises `LocalFileError` for a file that cannot be read, `InvalidRequestError` for one that shrinks while it is sent,
        and the errors of `request`.
        """
        from .upload import upload

        return upload(self, url, path, field, name, content_type, data, method, progress, options)
