"""How Mastodon is installed: by its own guide, on NixOS, with docker compose or by YunoHost, in the runbook's words.

Each layout says where things are and which commands bring a restored Mastodon up, secrets first and Sidekiq last. The
commands follow the guide (docs.joinmastodon.org), nixpkgs' module, Mastodon's own compose file and YunoHost's package.
Text from constants alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

_STOP = "sudo systemctl stop mastodon-web mastodon-streaming mastodon-sidekiq"
_START_WEB = "sudo systemctl start mastodon-web mastodon-streaming"
_START_SIDEKIQ = "sudo systemctl start mastodon-sidekiq"
_TALKS = "From now on the server talks to the fediverse."


@dataclass(frozen=True, slots=True)
class MastodonLayout:
    """One way of installing Mastodon; `clone_to` is where its code is cloned to, None if it is no clone."""

    how_to_run: str
    tootctl: str
    media: str
    settings_file: str
    """The file that permafrost check reads, which has Mastodon's secrets as variables."""
    migrate: tuple[str, ...]
    start_web: tuple[str, ...]
    start_sidekiq: tuple[str, ...]
    secrets: str = "the old .env.production"
    database_setting: str = "In .env.production DB_NAME (or DATABASE_URL)"
    redis: str = "If only Mastodon uses it, empty it."
    empty_redis: tuple[str, ...] = ("redis-cli flushall",)
    migration: str = "With the same version there is nothing to migrate, and this command prints nothing."
    sidekiq: str = _TALKS
    clone_to: str | None = None
    install: str = ""
    install_commands: tuple[str, ...] = ()
    needs_root: bool = False
    secrets_folder: str | None = None
    """A folder that may be missing, and whose files must belong to Mastodon's user."""

    def put_back(self, secret_files: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """Return the commands that copy each secret file from its first path to its second."""
        sudo = "sudo " if self.needs_root else ""
        copies = [f"{sudo}cp -p {shlex.quote(now)} {shlex.quote(before)}" for now, before in secret_files]
        folder = self.secrets_folder
        if folder is None or not any(before.startswith(f"{folder}/") for _, before in secret_files):
            return tuple(copies)
        made = f"{sudo}install -d -o mastodon -g mastodon -m 0700 {folder}"
        return (made, *copies, f"{sudo}chown -R mastodon:mastodon {folder}")

    def copy_media(self, laid_out: str | None = None) -> str:
        """Return the command that brings the media back: from the folder where they are laid out, or a vault's copy."""
        sudo = "sudo " if self.needs_root else ""
        source = shlex.quote(laid_out) if laid_out else "--exclude=/.stfolder --exclude=/.stignore COPY/media"
        return f"{sudo}rsync -a {source}/ {self.media}/"


def layout_of(name: str | None, folder: str | None) -> MastodonLayout:
    """Return the layout of that name, in `folder` instead of its usual one; Mastodon's guide's where none is known."""
    return _LAYOUTS.get(name or "official", _official)(folder.rstrip("/") if folder else None)


def _official(folder: str | None) -> MastodonLayout:
    live = shlex.quote(folder or "/home/mastodon/live")
    return MastodonLayout(
        how_to_run=f"as the user mastodon, in {live}, with RAILS_ENV=production, unless they begin with sudo",
        clone_to=live,
        tootctl="bin/tootctl",
        media=f"{live}/public/system",
        settings_file=f"{live}/.env.production",
        migrate=("bin/rails db:migrate:status | grep -w down",),
        start_web=("bin/rails assets:precompile", _START_WEB),
        start_sidekiq=(_START_SIDEKIQ,),
    )


def _nixos(_folder: str | None) -> MastodonLayout:
    held = 'systemd.targets = lib.genAttrs [ "mastodon" "mastodon-streaming" ] (_: { wantedBy = lib.mkForce [ ]; });'
    return MastodonLayout(
        how_to_run="as they are, as a user who may use sudo",
        install="Build the server's NixOS configuration with services.mastodon of that version, and with the line "
        "below: it keeps Mastodon from starting before its secrets are back, since it would generate new ones.",
        install_commands=(held, "sudo nixos-rebuild switch"),
        tootctl="sudo mastodon-tootctl",
        media="/var/lib/mastodon/public-system",
        settings_file="/var/lib/mastodon/.secrets_env",
        secrets="the old files of /var/lib/mastodon/secrets",
        database_setting="services.mastodon.database.name",
        redis="On a new machine it is. Otherwise:",
        empty_redis=("sudo systemctl stop redis-mastodon", "sudo rm -f /var/lib/redis-mastodon/dump.rdb"),
        migration="NixOS does it whenever Mastodon starts (mastodon-init-db.service): there is nothing to do.",
        migrate=(),
        start_web=("sudo systemctl start mastodon-web mastodon-streaming.target",),
        sidekiq=f"Remove the line with systemd.targets from the configuration. {_TALKS}",
        start_sidekiq=("sudo nixos-rebuild switch", "sudo systemctl start mastodon.target"),
        needs_root=True,
        secrets_folder="/var/lib/mastodon/secrets",
    )


def _docker(folder: str | None) -> MastodonLayout:
    where = shlex.quote(folder) if folder else "the folder of docker-compose.yml"
    beside = f"{shlex.quote(folder)}/" if folder else "./"
    run = "docker compose run --rm web"
    return MastodonLayout(
        how_to_run=f"in {where}, as a user who may use docker and sudo",
        install="In docker-compose.yml the images must be of that version. Start nothing but redis yet.",
        install_commands=("docker compose pull", "docker compose up -d redis"),
        tootctl=f"{run} bin/tootctl",
        media=f"{beside}public/system",
        settings_file=f"{beside}.env.production",
        empty_redis=("docker compose exec redis redis-cli flushall",),
        migrate=(f"{run} bin/rails db:migrate:status | grep -w down",),
        start_web=("docker compose up -d web streaming",),
        start_sidekiq=("docker compose up -d sidekiq",),
        needs_root=True,
    )


def _yunohost(folder: str | None) -> MastodonLayout:
    live = shlex.quote(folder or "/var/www/mastodon/live")
    as_mastodon = "sudo -u mastodon RAILS_ENV=production PATH=/opt/rbenv/versions/mastodon/bin:$PATH"
    return MastodonLayout(
        how_to_run=f"in {live}, as a user who may use sudo",
        install="Install the app in a release that has that version, and stop it.",
        install_commands=("sudo yunohost app install mastodon", _STOP),
        tootctl=f"{as_mastodon} bin/tootctl",
        media=f"{live}/public/system",
        settings_file=f"{live}/.env.production",
        migrate=(f"{as_mastodon} bin/rails db:migrate:status | grep -w down",),
        start_web=(_START_WEB,),
        start_sidekiq=(_START_SIDEKIQ,),
        needs_root=True,
    )


_LAYOUTS: dict[str, Callable[[str | None], MastodonLayout]] = {
    "official": _official,
    "nixos": _nixos,
    "docker": _docker,
    "yunohost": _yunohost,
}
