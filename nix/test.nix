# A virtual machine test: a Mastodon database is backed up, drilled, carried to a vault, and the vault is asked for its
# copy. `nix flake check` runs it; it needs KVM.
{ module }:
{
  name = "permafrost";

  nodes = {
    server =
      { pkgs, ... }:
      {
        imports = [ module ];
        virtualisation.memorySize = 2048;
        time.timeZone = "UTC";
        # The database and the secrets of a Mastodon, without the rest of it.
        services.postgresql = {
          enable = true;
          ensureDatabases = [ "mastodon" ];
          ensureUsers = [
            {
              name = "mastodon";
              ensureDBOwnership = true;
              ensureClauses.createdb = true;
            }
          ];
        };
        users.users.mastodon = {
          isSystemUser = true;
          group = "mastodon";
        };
        users.groups.mastodon = { };
        systemd.tmpfiles.settings.mastodon = {
          "/var/lib/mastodon".d = {
            user = "mastodon";
            group = "mastodon";
            mode = "0750";
          };
          "/var/lib/mastodon/public-system".d = {
            user = "mastodon";
            group = "mastodon";
            mode = "0750";
          };
          "/var/lib/mastodon/secret-key-base".f = {
            user = "mastodon";
            group = "mastodon";
            mode = "0600";
            argument = "0123456789abcdef";
          };
          "/run/permafrost-passphrase".f = {
            mode = "0400";
            argument = "correct horse battery staple";
          };
        };
      
        services.permafrost = {
          enable = true;
          user = "mastodon";
          group = "mastodon";
          openFirewall = true;
          passphraseFile = "/run/permafrost-passphrase";
          settings = {
            server.name = "social.example";
            database.url = "postgresql://mastodon@/mastodon?host=/run/postgresql";
            secrets.files = [ "/var/lib/mastodon/secret-key-base" ];
            media.path = "/var/lib/mastodon/public-system";
            schedule.backup = "* * * * *";
          };
        };
      };

    vault = {
      imports = [ module ];
      services.permafrost-vault = {
        enable = true;
        openFirewall = true;
        servers.social.invitationFile = "/root/invitation";
      };
    };
  };

  testScript = ''
    import json

    start_all()
    as_mastodon = "cd / && sudo -u mastodon permafrost"

    with subtest("the server sets itself up and backs up"):
        server.wait_for_unit("permafrost.service")
        server.succeed("sudo -u postgres psql -d mastodon -c 'CREATE TABLE note (id int PRIMARY KEY, text text)'")
        server.succeed("sudo -u postgres psql -d mastodon -c 'ALTER TABLE note OWNER TO mastodon'")
        server.succeed("sudo -u mastodon psql -d mastodon -c \"INSERT INTO note VALUES (1, 'hello')\"")
        server.succeed(f"{as_mastodon} backup --audit")
        server.succeed(f"{as_mastodon} drill")
        server.succeed("test ! -e /var/lib/permafrost/keys/passphrase")
        server.fail("journalctl -u permafrost | grep -F 'correct horse'")

    with subtest("nothing that others may not read is open"):
        server.fail("sudo -u nobody ls /var/lib/permafrost/keys")
        exposure = server.succeed("systemd-analyze security --no-pager permafrost.service | tail -1")
        print(exposure)

    with subtest("the vault joins by a file, and keeps the snapshot"):
        line = server.succeed(f"{as_mastodon} vault invite attic --no-wait").strip()
        vault.succeed(f"umask 077; echo {line} > /root/invitation")
        vault.succeed("systemctl restart permafrost-vault.service")
        vault.wait_until_succeeds("journalctl -u permafrost-vault | grep 'has admitted this vault'", timeout=120)
        server.succeed(f"{as_mastodon} backup --wait")
        listed = "cd / && sudo -u permafrost permafrost vault history --path /var/lib/permafrost-vault --json"
        vault.wait_until_succeeds(f"{listed} | grep -F social.example", timeout=120)

    with subtest("a restored database is the same"):
        server.succeed(f"{as_mastodon} restore latest --database restored")
        count = server.succeed("sudo -u mastodon psql -At -d restored -c 'SELECT text FROM note'")
        assert count.strip() == "hello", count

    with subtest("a restart needs nothing"):
        vault.succeed("rm /root/invitation")
        for machine, unit in ((server, "permafrost"), (vault, "permafrost-vault")):
            machine.succeed(f"systemctl restart {unit}.service")
            machine.wait_for_unit(f"{unit}.service")
        found = json.loads(server.execute(f"{as_mastodon} status --json")[1])
        assert [one["kind"] for one in found["findings"]] == ["recovery-sheet"], found
  '';
}
