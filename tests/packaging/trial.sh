#!/bin/sh
# The life of the package on a booted Debian, as root, with PostgreSQL and Syncthing, and without a network. In /trial are
# old.deb, new.deb and Mastodon's env.production. Ends the system with 42 if all went as it should.
set -eu

fail() { echo "FAILED: $*"; journalctl --no-pager --lines=80 --unit='permafrost*'; systemctl exit 1; exit 1; }
began=$(date +%s)
step() { echo "== after $(($(date +%s) - began)) s: $*"; }
check() { "$@" || fail "$*"; }
refuse() { ! "$@" || fail "unexpected: $*"; }
await() { # await SECONDS COMMAND...: until the command succeeds
    seconds=$1 end=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || fail "not within $seconds s: $*"
        sleep 0.2
    done
}
snapshots() { sudo -u mastodon permafrost snapshots --json | grep -o '[0-9]\{8\}T[0-9]\{6\}Z-[0-9a-f]\{8\}' | sort -u; }
has_another_than() { [ "$(snapshots | tail -n 1)" != "$1" ]; }
runs_a_backup() { systemctl show --property=StatusText --value permafrost.service | grep -q '^backup, '; }
is_drilling() { systemctl --quiet is-active permafrost-drill.service; }
is_idle() { ! is_drilling; }
drills() { # drills OUTCOME: how many scheduled ones have ended so, as the journal says
    journalctl --quiet --unit=permafrost.service --output=cat "PERMAFROST_JOB=drill --audited" "PERMAFROST_OUTCOME=$1" | wc -l
}
has_drilled() { [ "$(drills "$1")" -gt "$2" ]; }
finds() { sudo -u mastodon permafrost status --json | grep "\"kind\": \"$1\"" >/dev/null; }
does_not_find() { ! finds "$1"; }
has_entry() { [ -n "$(journalctl --quiet --unit=permafrost.service --output=cat "$@")" ]; }
could_come_back() { sudo -u mastodon permafrost status | grep '^Yes: could come back .* from attic; proven' >/dev/null; }
has_in_history() { sudo -u permafrost permafrost vault history --path /srv/permafrost | grep "$1" >/dev/null; }
install_package() { DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "$@" </dev/null; }
set_key() { sed -i "s|^$1 = .*|$1 = $2|" /etc/permafrost/permafrost.toml; }

step a Mastodon, its database, and the package of the version before
cd /
echo "127.0.0.1 $(hostname)" >>/etc/hosts
await 30 pg_isready --quiet
useradd --create-home mastodon
mkdir -p /home/mastodon/live/public/system
cp /trial/env.production /home/mastodon/live/.env.production
chown -R mastodon: /home/mastodon/live
sudo -u postgres createuser --createdb mastodon
sudo -u mastodon createdb mastodon_production
sudo -u mastodon psql --quiet mastodon_production \
    --command='CREATE TABLE note AS SELECT n, md5(n::text) AS text FROM generate_series(1, 1000) AS n'
install_package /trial/old.deb
check dpkg --verify permafrost
refuse systemctl --quiet is-active permafrost.service permafrost-vault.service
refuse systemctl --quiet is-enabled permafrost.service permafrost-vault.service
check man --where permafrost-vault-join

step the three commands of the how-to
sudo -u mastodon permafrost init --mastodon /home/mastodon/live >/dev/null
sudo -u mastodon permafrost backup --audit
shred --remove /etc/permafrost/recovery-sheet.txt # or status would ask for that, with 3
set_key discovery false
set_key listen '["tcp://127.0.0.1:22101"]'
systemctl enable --now permafrost.service
await 60 systemctl --quiet is-active permafrost.service
check sudo -u mastodon permafrost status

step a vault on the same machine
line=$(sudo -u mastodon permafrost vault invite attic --no-wait)
sudo -u permafrost permafrost vault join "$line" --path /srv/permafrost \
    --listen tcp://127.0.0.1:22102 --gui 127.0.0.1:8386 --no-discovery
systemctl enable --now permafrost-vault.service
newest=$(snapshots)
await 120 has_in_history "$newest"

step a drill proves the snapshot
check sudo -u mastodon permafrost drill
await 60 could_come_back

step a drill that is due runs in its unit, without a network, and follows the service
check systemctl --quiet is-active permafrost-drill.socket
set_key drill '"* * * * *"'
systemctl restart permafrost.service
await 90 is_drilling
check [ "$(systemctl show --property=User --value permafrost-drill.service)" = mastodon ]
systemctl kill --kill-whom=main --signal=KILL permafrost.service
await 15 is_idle
check [ "$(drills 'done')" = 0 ]
await 150 has_drilled 'done' 0
check does_not_find drill-failed
refuse [ "$(systemctl is-failed permafrost-drill.service)" = failed ]
refuse pgrep --full 'postgres.*permafrost-scratch'

step a drill ends when the service is stopped
await 90 is_drilling
systemctl stop permafrost.service
await 15 is_idle
refuse [ "$(systemctl is-failed permafrost-drill.service)" = failed ]

step without its unit a drill is reported, tried and not left out
systemctl mask --quiet --now permafrost-drill.socket
systemctl start permafrost.service
await 90 has_drilled failed 0
await 60 finds drill-unit
check finds drill-failed
systemctl unmask --quiet permafrost-drill.socket
systemctl start permafrost-drill.socket
done_before=$(drills 'done')
await 150 has_drilled 'done' "$done_before"
await 60 does_not_find drill-failed
check does_not_find drill-unit
set_key drill '"off"'

step an upgrade in the middle of a scheduled backup, which runs again at once
sudo -u mastodon psql --quiet mastodon_production \
    --command='BEGIN; LOCK TABLE note IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)' >/dev/null &
holder=$!
set_key backup "\"$(date --date='+62 seconds' +%-M) * * * *\""
systemctl restart permafrost.service
await 130 runs_a_backup
install_package /trial/new.deb
check systemctl --quiet is-active permafrost.service permafrost-vault.service
check [ ! -e /run/permafrost-upgrade ]
await 60 runs_a_backup
kill "$holder"
wait "$holder" || true
sudo -u postgres psql --quiet --tuples-only --output=/dev/null --command="SELECT pg_terminate_backend(pid)
    FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
await 60 has_another_than "$newest"
await 20 has_entry PERMAFROST_JOB=backup PERMAFROST_OUTCOME=done "PERMAFROST_SNAPSHOT=$(snapshots | tail -n 1)"
check sudo -u mastodon permafrost verify

step an upgrade starts no service that was stopped
systemctl stop permafrost-vault.service
install_package --reinstall /trial/new.deb
check systemctl --quiet is-active permafrost.service
refuse systemctl --quiet is-active permafrost-vault.service
systemctl start permafrost-vault.service

step removal
apt-get remove -qq permafrost </dev/null
refuse systemctl --quiet is-active permafrost.service permafrost-vault.service permafrost-drill.socket
refuse [ -e /usr/lib/permafrost ]
refuse [ -e /usr/bin/permafrost ]
check [ -e /var/lib/permafrost/repository/repository.json ]

step an installation after removal continues
install_package /trial/new.deb
systemctl start permafrost.service permafrost-vault.service
check systemctl --quiet is-active permafrost-drill.socket
check sudo -u mastodon permafrost verify
check has_in_history "$newest"

step purge
apt-get purge -qq permafrost </dev/null
for kept in /etc/permafrost/permafrost.toml /etc/permafrost/passphrase /var/lib/permafrost/repository/repository.json \
    /srv/permafrost/social.example/history; do
    check [ -e "$kept" ]
done
refuse [ -e /etc/systemd/system/multi-user.target.wants/permafrost.service ]
refuse [ -e /etc/systemd/system/multi-user.target.wants/permafrost-vault.service ]
refuse dpkg --status permafrost

step all is well
systemctl exit 42
