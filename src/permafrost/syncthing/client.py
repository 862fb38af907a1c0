"""A thin typed client of Syncthing's REST API, the part that is the same from 1.19 to 2.x.

Documented at https://docs.syncthing.net/dev/rest.html. Every failure is a `ReplicationError`; an instance that
does not answer at all is an `UnreachableError`, so that a caller can wait for it or start it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from permafrost.errors import ReplicationError
from permafrost.syncthing.answers import (
    Completion,
    Connection,
    FileState,
    Json,
    PendingDevice,
    SyncthingEvent,
)

ANSWER_S = 30.0
EVENT_SLACK_S = 15.0
SCAN_BATCH = 200  # paths in one request; Go's server takes a head of 1 MiB
NEED_PAGE = 5000
_UNIX = "unix://"


class UnreachableError(ReplicationError):
    """Nothing answers at the REST address."""


class Client:
    """A connection to one Syncthing; `address` is host:port, a URL, or the absolute path of a Unix socket."""

    def __init__(self, address: str, api_key: str, *, answer_s: float = ANSWER_S) -> None:
        self.address = address
        self._answer_s = answer_s
        path = address.removeprefix(_UNIX)
        self._socket = Path(path) if path.startswith("/") else None
        transport = httpx.HTTPTransport(uds=path, verify=False) if self._socket else None
        base = "http://localhost" if transport else address if "://" in address else f"http://{address}"
        self._http = httpx.Client(
            base_url=f"{base.rstrip('/')}/rest",
            headers={"X-API-Key": api_key},
            timeout=answer_s,
            transport=transport,
            verify=base.startswith("https://"),  # to load certificates takes 25 ms, and a service looks every second
            trust_env=False,  # a proxy in the environment must not see the key
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to Syncthing; Syncthing itself keeps running."""
        self._http.close()

    # --- the instance ---

    def is_answering(self) -> bool:
        """Return whether an instance answers that takes the key; raise `ReplicationError` if it refuses it.

        While 2.x converts a database of 1.x, something answers every request with the log as plain text.
        """
        try:
            answer = self._ask("GET", "system/ping")
        except UnreachableError:
            return False
        kind: str = answer.headers.get("content-type", "")
        return kind.startswith("application/json")

    def own_id(self) -> str:
        """Return the instance's own device id."""
        return str(self._json("system/status")["myID"])

    def version(self) -> str:
        """Return the instance's version, as v1.19.2."""
        return str(self._json("system/version")["version"])

    def shutdown(self) -> None:
        """Ask the instance to end; it does so a moment later."""
        self._ask("POST", "system/shutdown")

    def options(self) -> Json:
        """Return the options of the whole instance."""
        return self._object("config/options")

    def devices(self) -> tuple[Json, ...]:
        """Return the configured devices, this one included."""
        return tuple(self._json("config/devices"))

    def device(self, device_id: str) -> Json | None:
        """Return one configured device, or None."""
        return self._json_or_none(f"config/devices/{device_id}")

    def add_device(self, device: Json) -> None:
        """Add a device, or replace it."""
        self._ask("POST", "config/devices", body=device)

    def change_device(self, device_id: str, changes: Json) -> None:
        """Set some of a device's settings, leaving the others."""
        self._ask("PATCH", f"config/devices/{device_id}", body=changes)

    def remove_device(self, device_id: str) -> None:
        """Forget a device."""
        self._ask("DELETE", f"config/devices/{device_id}")

    def dial_again(self, device_id: str) -> None:
        """Make Syncthing dial the device now instead of at its next turn, by pausing it for a moment."""
        self._ask("POST", "system/pause", {"device": device_id})
        self._ask("POST", "system/resume", {"device": device_id})

    def pending_devices(self) -> tuple[PendingDevice, ...]:
        """Return the devices that knocked and are not configured, with the names that they gave themselves."""
        answer = self._json("cluster/pending/devices")
        return tuple(
            PendingDevice(device_id, str(facts.get("name", "")), str(facts.get("address", "")))
            for device_id, facts in answer.items()
        )

    def dismiss_pending_device(self, device_id: str) -> None:
        """Forget that the device knocked; it is listed again when it knocks again."""
        self._ask("DELETE", "cluster/pending/devices", {"device": device_id})

    def connections(self) -> dict[str, Connection]:
        """Return how each other configured device stands."""
        answer = self._json("system/connections")["connections"]
        return {device_id: Connection.parse(one) for device_id, one in answer.items()}

    def last_seen(self) -> dict[str, str]:
        """Return when each device was last connected, in RFC 3339; 1970 for never."""
        return {device_id: str(facts.get("lastSeen", "")) for device_id, facts in self._json("stats/device").items()}

    # --- folders ---

    def folders(self) -> tuple[Json, ...]:
        """Return the configured folders."""
        return tuple(self._json("config/folders"))

    def folder(self, folder_id: str) -> Json | None:
        """Return one configured folder, or None."""
        return self._json_or_none(f"config/folders/{folder_id}")

    def default_folder(self) -> Json:
        """Return the settings that a new folder starts from; it names every key that this version knows."""
        return self._object("config/defaults/folder")

    def add_folder(self, folder: Json) -> None:
        """Add a folder, or replace it."""
        self._ask("POST", "config/folders", body=folder)

    def change_folder(self, folder_id: str, changes: Json) -> None:
        """Set some of a folder's settings, leaving the others."""
        self._ask("PATCH", f"config/folders/{folder_id}", body=changes)

    def remove_folder(self, folder_id: str) -> None:
        """Forget a folder; its files stay."""
        self._ask("DELETE", f"config/folders/{folder_id}")

    def ignores(self, folder_id: str) -> tuple[str, ...]:
        """Return the lines of the folder's .stignore."""
        return tuple(self._json("db/ignores", {"folder": folder_id}).get("ignore") or ())

    def set_ignores(self, folder_id: str, patterns: Sequence[str]) -> None:
        """Write the folder's .stignore."""
        self._ask("POST", "db/ignores", {"folder": folder_id}, body={"ignore": list(patterns)})

    def scan(self, folder_id: str, paths: Sequence[str] = ()) -> None:
        """Hash what changed below `paths` (everywhere, if none) and put it into the index; returns when it is there.

        A file that could not be hashed is no error here; it is in `folder_errors` afterwards.
        """
        for batch in [paths[at : at + SCAN_BATCH] for at in range(0, len(paths), SCAN_BATCH)] or [()]:
            query: list[tuple[str, str]] = [("folder", folder_id), *(("sub", path) for path in batch)]
            self._ask("POST", "db/scan", query, answer_s=None)

    def revert(self, folder_id: str) -> None:
        """Make a receive-only folder be again as the others have it; it begins a moment later."""
        self._ask("POST", "db/revert", {"folder": folder_id})

    def changed_here(self, folder_id: str) -> int:
        """Return how many files of a receive-only folder were changed, added or deleted on this machine."""
        return int(self._object("db/status", {"folder": folder_id}).get("receiveOnlyTotalItems") or 0)

    def sizes(self, folder_id: str, entry_bytes: int) -> tuple[int, int]:
        """Return how many bytes a folder has, and is still to receive; each entry counts `entry_bytes` too."""
        status = self._object("db/status", {"folder": folder_id})
        has, needs = (
            int(status.get(f"{state}Bytes") or 0)
            + entry_bytes * sum(int(status.get(f"{state}{kind}") or 0) for kind in ("Files", "Directories", "Symlinks"))
            for state in ("local", "need")
        )
        return has, needs

    def is_pulling(self, folder_id: str) -> bool:
        """Return whether Syncthing is bringing the folder to what others announce, deletions included, right now."""
        state = str(self._object("db/status", {"folder": folder_id}).get("state"))
        return state in ("syncing", "sync-preparing", "sync-waiting")

    def folder_errors(self, folder_id: str) -> dict[str, str]:
        """Return the paths that Syncthing could not scan or write, and why."""
        errors = self._json("folder/errors", {"folder": folder_id}).get("errors") or ()
        return {str(error["path"]): str(error["error"]) for error in errors}

    def completion(self, folder_id: str, device_id: str) -> Completion:
        """Return what Syncthing believes the device lacks."""
        return Completion.parse(self._json("db/completion", {"folder": folder_id, "device": device_id}))

    def file(self, folder_id: str, path: str) -> FileState | None:
        """Return what the index says of a path, or None if no device has it."""
        answer = self._json_or_none("db/file", {"folder": folder_id, "file": path})
        return None if answer is None else FileState.parse(answer)

    def remote_need(self, folder_id: str, device_id: str) -> Iterator[str]:
        """Yield the paths that the device has not in their newest version."""
        page = 1
        while True:
            query = {"folder": folder_id, "device": device_id, "page": str(page), "perpage": str(NEED_PAGE)}
            files = self._json("db/remoteneed", query).get("files") or ()
            yield from (str(file["name"]) for file in files)
            if len(files) < NEED_PAGE:
                return
            page += 1

    # --- events ---

    def events(self, kinds: Iterable[str], since: int, wait_s: float) -> tuple[SyncthingEvent, ...]:
        """Return the events after `since`, waiting up to `wait_s` for the first; the empty tuple if none came.

        Ids belong to the set of kinds: always ask with the same one. Syncthing starts to collect for a set at the
        first call, and keeps the last 1000.
        """
        query = {"events": ",".join(sorted(kinds)), "since": str(since), "timeout": str(max(1, round(wait_s)))}
        answer = self._ask("GET", "events", query, answer_s=wait_s + EVENT_SLACK_S).json()
        return tuple(SyncthingEvent(event["id"], event["type"], event.get("data") or {}) for event in answer or ())

    def latest_event(self, kinds: Iterable[str]) -> int:
        """Return the id of the newest event of these kinds, 0 if there was none yet; collects from now on."""
        query = {"events": ",".join(sorted(kinds)), "since": "0", "limit": "1", "timeout": "0"}
        answer = self._ask("GET", "events", query).json()
        return int(answer[-1]["id"]) if answer else 0

    # --- transport ---

    def _json(self, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - JSON has any shape
        return self._ask("GET", path, query).json()

    def _object(self, path: str, query: Mapping[str, str] | None = None) -> Json:
        answer: Json = self._json(path, query)
        return answer

    def _json_or_none(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        response = self._ask("GET", path, query, may_be_missing=True)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        answer: Json = response.json()
        return answer

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        *,
        body: Json | None = None,
        may_be_missing: bool = False,
        answer_s: float | None = -1.0,
    ) -> httpx.Response:
        timeout = httpx.Timeout(self._answer_s, read=self._answer_s if answer_s == -1.0 else answer_s)
        parameters = httpx.QueryParams(query if isinstance(query, Mapping) else list(query or ()))
        if self._socket is not None and not self._socket.exists():
            raise UnreachableError(f"Syncthing does not answer: no socket {self._socket}")
        try:
            response = self._http.request(method, path, params=parameters, json=body, timeout=timeout)
        except httpx.TransportError as error:
            raise UnreachableError(
                f"Syncthing does not answer at {self.address} ({type(error).__name__})",
                hint="check that it runs, and that the address in [syncthing] is right",
            ) from error
        if response.is_success or (may_be_missing and response.status_code == httpx.codes.NOT_FOUND):
            return response
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise ReplicationError(
                f"Syncthing at {self.address} refuses the API key",
                hint="another Syncthing listens there, or its key has changed: compare with its config.xml",
            )
        raise ReplicationError(
            f"Syncthing answered {response.status_code} to {method} {path}: {response.text.strip()[:300]}"
        )
