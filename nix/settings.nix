# The keys of permafrost.toml whose default depends on the machine, or whose value has to be right for a restore. All
# other keys may be set as well; `permafrost config check` knows them.
{
  lib,
  own,
  defaults,
}:
let
  inherit (lib) mkOption types;
  optional = type: types.nullOr type;
in
{
  server.name = mkOption {
    type = own.name;
    default = defaults.name;
    defaultText = lib.literalExpression "config.services.mastodon.localDomain";
    description = "The server's name, on recovery sheets and as the folder's name on a vault.";
  };

  database.url = mkOption {
    type = optional types.str;
    default = defaults.url;
    defaultText = lib.literalMD "the database of {option}`services.mastodon`";
    example = "postgresql://permafrost@/mastodon?host=/run/postgresql";
    description = ''
      How to reach the database, without a password. Name the host, or the folder of the socket, always.
    '';
  };

  repository.path = mkOption {
    type = types.str;
    default = "${defaults.stateDir}/repository";
    description = "The folder of encrypted objects and snapshots that Syncthing shares.";
  };

  state.path = mkOption {
    type = types.str;
    default = "${defaults.stateDir}/state";
    description = "The folder of run records; it can be thrown away at any time.";
  };

  signing.gnupg_home = mkOption {
    type = types.str;
    default = "${defaults.stateDir}/keys/gnupg";
    description = "The GnuPG home of the key that signs snapshots; made at the first start.";
  };

  encryption.passphrase_file = mkOption {
    type = optional types.str;
    default = defaults.passphrase;
    defaultText = lib.literalMD "from {option}`services.permafrost.passphraseFile`";
    description = "The passphrase's file. Set {option}`services.permafrost.passphraseFile` instead.";
  };

  encryption.recipients = mkOption {
    type = types.listOf types.str;
    default = [ ];
    example = [ "0123456789ABCDEF0123456789ABCDEF01234567" ];
    description = "Fingerprints of OpenPGP keys to encrypt to, instead of with a passphrase.";
  };

  encryption.recipients_dir = mkOption {
    type = optional (types.either types.path types.str);
    default = null;
    apply = value: if value == null then null else "${value}";
    description = "The folder of the recipients' public keys, FINGERPRINT.asc each; it may be in the store.";
  };

  secrets.files = mkOption {
    type = types.listOf types.str;
    default = defaults.secrets;
    defaultText = lib.literalMD "the secrets of {option}`services.mastodon`";
    description = "Files that go into every snapshot with their modes and owners.";
  };

  media.path = mkOption {
    type = optional types.str;
    default = defaults.media;
    defaultText = lib.literalMD "the media of {option}`services.mastodon`, unless they are in an object store";
    description = "Mastodon's media folder; null to copy no media.";
  };

  schedule.drill = mkOption {
    type = types.str;
    default = defaults.drill;
    defaultText = lib.literalMD ''`"0 4 * * 0"`, or `"off"` with recipients, whose backups this server cannot open'';
    description = "When to rehearse a restore: a cron expression in local time, or `off`.";
  };

  syncthing.managed = mkOption {
    type = types.bool;
    default = true;
    description = "Whether permafrost runs a Syncthing of its own, or uses an existing one.";
  };

  syncthing.home = mkOption {
    type = types.str;
    default = "${defaults.stateDir}/syncthing";
    description = "The home of its own Syncthing.";
  };

  syncthing.listen = mkOption {
    type = types.listOf types.str;
    default = [ "default" ];
    example = [
      "tcp://:22001"
      "quic://:22001"
    ];
    description = "Where its own Syncthing listens for vaults; `default` is port 22000.";
  };

  syncthing.url = mkOption {
    type = optional types.str;
    default = null;
    description = "The REST address of an existing Syncthing.";
  };

  syncthing.api_key_file = mkOption {
    type = optional types.str;
    default = null;
    description = "A file with its API key.";
  };

  mastodon = {
    layout = mkOption {
      type = types.enum [
        "official"
        "nixos"
        "docker"
        "yunohost"
      ];
      default = defaults.layout;
      defaultText = lib.literalMD ''`"nixos"` with {option}`services.mastodon.enable`'';
      description = "How Mastodon is installed; it decides the commands of the runbook after a restore.";
    };
    local_domain = mkOption {
      type = optional types.str;
      default = defaults.domain;
      defaultText = lib.literalExpression "config.services.mastodon.localDomain";
      description = "Mastodon's domain, which must be the same after a restore.";
    };
    web_domain = mkOption {
      type = optional types.str;
      default = defaults.webDomain;
      defaultText = lib.literalExpression "config.services.mastodon.extraConfig.WEB_DOMAIN or null";
      description = "The domain of Mastodon's web interface, if it is another one.";
    };
    version = mkOption {
      type = optional types.str;
      default = defaults.version;
      defaultText = lib.literalExpression "config.services.mastodon.package.version";
      description = "Mastodon's version, for the runbook.";
    };
  };
}
