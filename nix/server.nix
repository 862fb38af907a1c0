# The server: services.permafrost. docs/how-to/set-up-nixos.md explains it.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.permafrost;
  mastodon = config.services.mastodon;
  postgresql = config.services.postgresql;
  own = import ./types.nix { inherit lib; };
  common = import ./service.nix { inherit lib pkgs; };
  inherit (common) isBelow withoutNulls;
  toml = pkgs.formats.toml { };

  stateDir = "/var/lib/permafrost";
  permafrost = lib.getExe cfg.package;
  settings = cfg.settings;

  # --- what services.mastodon says ---

  database = mastodon.database;
  isLocal = mastodon.enable && database.createLocally && database.host == "/run/postgresql";
  usesPassword = mastodon.enable && !isLocal && database.passwordFile != null;
  passfile = "/run/permafrost/pgpass";
  port = if isLocal then postgresql.settings.port else database.port;
  mastodonUrl =
    let
      isSocket = lib.hasPrefix "/" database.host;
      host = lib.optionalString (!isSocket) (
        (if lib.hasInfix ":" database.host then "[${database.host}]" else database.host)
        + lib.optionalString (port != null) ":${toString port}"
      );
      parameters =
        lib.optional isSocket "host=${database.host}"
        ++ lib.optional (isSocket && port != null && port != 5432) "port=${toString port}"
        ++ lib.optional usesPassword "passfile=${passfile}";
      query = lib.concatStringsSep "&" parameters;
    in
    "postgresql://${lib.escapeURL database.user}@${host}/${lib.escapeURL database.name}"
    + lib.optionalString (query != "") "?${query}";

  mediaAreElsewhere = lib.any (name: (mastodon.extraConfig.${name} or "") == "true") [
    "S3_ENABLED"
    "SWIFT_ENABLED"
    "AZURE_ENABLED"
  ];
  # An option that nixpkgs has removed still exists, but hidden, and fails when it is read.
  optionExists =
    name:
    options.services.mastodon ? ${name} && (options.services.mastodon.${name}.visible or true) != false;
  secretOptions = [
    "secretKeyBaseFile"
    "vapidPrivateKeyFile"
    "vapidPublicKeyFile"
    "activeRecordEncryptionPrimaryKeyFile"
    "activeRecordEncryptionDeterministicKeyFile"
    "activeRecordEncryptionKeyDerivationSaltFile"
    "otpSecretFile"
  ];
  mastodonSecrets =
    map (name: toString mastodon.${name}) (
      lib.filter (name: optionExists name && mastodon.${name} != null) secretOptions
    )
    ++ [ "/var/lib/mastodon/.secrets_env" ] # all of them as variables, with the passwords of database and mail
    ++ map (file: "${file}") mastodon.extraEnvFiles;

  # --- the configuration ---

  declaredVaults = lib.mapAttrsToList (name: vault: {
    inherit name;
    device_id = vault.deviceId;
    inherit (vault) addresses;
  }) cfg.vaults;
  rendered =
    withoutNulls settings
    // lib.optionalAttrs (cfg.vaults != { }) { vaults = settings.vaults or [ ] ++ declaredVaults; };
  configFile = toml.generate "permafrost.toml" rendered;

  recipients = settings.encryption.recipients;
  ownPassphrase = "${stateDir}/keys/passphrase";
  isManaged = settings.syncthing.managed;
  # Folders that the service writes to and StateDirectory does not make.
  otherFolders = lib.filter (path: !(isBelow stateDir path)) [
    settings.repository.path
    settings.state.path
  ];
  writable =
    otherFolders
    ++ lib.filter (path: !(isBelow stateDir path)) [
      (builtins.dirOf settings.signing.gnupg_home)
      settings.syncthing.home
    ]
    ++ lib.optional (settings.state ? scratch) settings.state.scratch;
  homes = [
    "/home"
    "/root"
    "/run/user"
  ];
  isInAHome = path: lib.any (folder: isBelow folder path) homes;
  # What ProtectHome= has to leave open to a unit that writes to and reads these folders.
  protectHome =
    writable: read:
    if lib.any isInAHome writable then
      false
    else if lib.any isInAHome read then
      "read-only"
    else
      true;
  read = settings.secrets.files ++ lib.optional (settings.media.path != null) settings.media.path;

  # --- other units ---

  drill = import ./drill.nix {
    inherit
      lib
      cfg
      configFile
      protectHome
      ;
    path = [
      pkgs.gnupg
      pkgs.zstd
      pkgs.bubblewrap
      postgresqlPackage
    ];
  };

  # Since NixOS 25.11 roles are made when postgresql.target is reached, and before that by postgresql.service itself.
  postgresqlUnit =
    if config.systemd.targets ? postgresql then "postgresql.target" else "postgresql.service";
  # With the extensions of services.postgresql, where nixpkgs has it: a drill starts a server of its own.
  postgresqlPackage =
    if postgresql.enable then postgresql.finalPackage or postgresql.package else pkgs.postgresql;

  writePassfile = pkgs.writeShellScript "permafrost-pgpass" (
    import ./passfile.nix {
      inherit lib port passfile;
      inherit (database) host user;
      sed = "${pkgs.gnused}/bin/sed";
    }
  );

  # The role that a connection by the socket asks for, where PostgreSQL asks the system which user is there.
  roleBySocket =
    url:
    let
      host = builtins.match ".*[ ?&]host=([^ &]*).*" " ${url}";
      bySocket = host == null || lib.any (start: lib.hasPrefix start (lib.head host)) [ "/" "%2F" ];
      uri = builtins.match "postgres(ql)?://([^:@/]+)@(%2F[^/]*)?/.*" url;
      words = builtins.match ".* user=([^ ]+).*" " ${url}";
    in
    if !bySocket then
      null
    else if uri != null then
      lib.elemAt uri 1
    else if words != null then
      lib.head words
    else
      null;
  peerRole = if settings.database.url == null then null else roleBySocket settings.database.url;
  isPeer =
    peerRole != null
    && postgresql.enable
    && !(lib.hasInfix cfg.user postgresql.identMap)
    && !(lib.hasInfix "trust" postgresql.authentication);
in
{
  options.services.permafrost = {
    enable = lib.mkEnableOption "permafrost, which backs up a Mastodon server to machines of your own. With {option}`services.mastodon.enable` nothing else has to be set";

    inherit (common) package;

    user = lib.mkOption {
      type = lib.types.str;
      default = if mastodon.enable then mastodon.user else "permafrost";
      defaultText = lib.literalExpression ''if config.services.mastodon.enable then config.services.mastodon.user else "permafrost"'';
      description = ''
        The user that the service runs as. Mastodon's own can read all that a backup needs: the database, by peer
        authentication, secrets with mode 0600, and the files of suspended accounts. The user `permafrost` is created.
      '';
    };

    group = lib.mkOption {
      type = lib.types.str;
      default = if mastodon.enable then mastodon.group else "permafrost";
      defaultText = lib.literalExpression ''if config.services.mastodon.enable then config.services.mastodon.group else "permafrost"'';
      description = "The group that the service runs as.";
    };

    passphraseFile = lib.mkOption {
      type = lib.types.nullOr own.secretFile;
      default = null;
      example = "/run/agenix/permafrost";
      description = ''
        A file whose first line is the passphrase that backups are encrypted with; it may belong to root, as systemd
        reads it. If null, a passphrase is made at the first start, in `${ownPassphrase}`. Anyone who has a copy of the
        repository and the passphrase can read everything; without it nobody can.
      '';
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to open the ports of permafrost's own Syncthing: 22000 for TCP and UDP, or those in
        `settings.syncthing.listen`, and 21027 for UDP, by which machines of one network find each other. Vaults that can
        be reached themselves need none of them open here.
      '';
    };

    vaults = lib.mkOption {
      default = { };
      description = ''
        Vaults that are let in by their device id. Those paired with `permafrost vault invite` need no entry.
      '';
      example = lib.literalExpression ''
        {
          attic.deviceId = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO";
        }
      '';
      type = lib.types.attrsOf (
        lib.types.submodule {
          options = {
            deviceId = lib.mkOption {
              type = own.deviceId;
              example = "7DSWSKM-FDN56EF-PAOP2N2-OO7OMFD-KSC53JD-XI6KMGI-QY34KJ4-UI2SWAO";
              description = "The device id that `permafrost vault id` prints on the vault.";
            };
            addresses = lib.mkOption {
              type = lib.types.listOf lib.types.str;
              default = [ ];
              example = [ "tcp://192.0.2.7:22000" ];
              description = "Where the vault listens. If empty, it is found by discovery, or connects by itself.";
            };
          };
        }
      );
    };

    settings = lib.mkOption {
      default = { };
      example = lib.literalExpression ''
        {
          schedule.backup = "*/10 * * * *";
          retention.daily = 30;
        }
      '';
      description = ''
        permafrost's configuration, as in docs/reference/configuration.md. A null leaves a key out.
      '';
      type = lib.types.submodule {
        freeformType = toml.type;
        options = import ./settings.nix {
          inherit lib own;
          defaults = {
            name = if mastodon.enable then lib.toLower mastodon.localDomain else "mastodon";
            url = if mastodon.enable then mastodonUrl else null;
            passphrase =
              if recipients != [ ] then
                null
              else if cfg.passphraseFile != null then
                "credential:passphrase"
              else
                ownPassphrase;
            secrets = lib.optionals mastodon.enable mastodonSecrets;
            media =
              if mastodon.enable && !mediaAreElsewhere then "/var/lib/mastodon/public-system" else null;
            layout = if mastodon.enable then "nixos" else "official";
            domain = if mastodon.enable then mastodon.localDomain else null;
            webDomain = if mastodon.enable then mastodon.extraConfig.WEB_DOMAIN or null else null;
            version = if mastodon.enable then mastodon.package.version or null else null;
            drill = if recipients != [ ] then "off" else "0 4 * * 0";
            inherit stateDir;
          };
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = import ./assertions.nix {
      inherit
        lib
        cfg
        recipients
        isBelow
        isManaged
        ;
      # the only user that peer authentication lets in, null if it does not decide
      peer = if isPeer then peerRole else null;
    };

    warnings =
      lib.optional
        (mastodon.enable && mediaAreElsewhere && settings.media.path == null && !(settings.media ? public_url))
        ''
          services.permafrost: the media of services.mastodon are in an object store (services.mastodon.extraConfig), and
          are not copied: set settings.media.public_url, and vaults fetch them, or back them up by other means.
        ''
      ++ common.portWarning {
        option = "services.permafrost";
        whose = "permafrost's";
        inherit (settings) syncthing;
        hosts = config.services.syncthing;
      };

    environment.etc."permafrost/permafrost.toml".source = configFile;
    environment.systemPackages = [ cfg.package ];

    # The text is checked when the system is built; what it names exists on the machine only.
    system.checks = [
      (pkgs.runCommand "permafrost-check-configuration" { } ''
        ${permafrost} config check --text-only --config ${configFile}
        touch $out
      '')
    ];

    networking.firewall = common.firewall cfg;
    users = common.users cfg;

    # A restore creates a database beside the live one.
    services.postgresql.ensureUsers = lib.mkIf isLocal [
      {
        name = database.user;
        ensureClauses.createdb = true;
      }
    ];

    systemd.tmpfiles.settings.permafrost = lib.genAttrs otherFolders (_: {
      d = {
        inherit (cfg) user group;
        mode = "0750";
      };
    });

    systemd.sockets = drill.sockets;

    systemd.services = drill.services // {
      permafrost = {
        description = "permafrost: backs up Mastodon and sends it to the vaults";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ] ++ lib.optional postgresql.enable postgresqlUnit ++ drill.wants;
        after =
          common.after
          ++ drill.wants
          ++ lib.optional postgresql.enable postgresqlUnit
          # which makes missing secrets; a backup before that would have none
          ++ lib.optional mastodon.enable "mastodon-init-dirs.service";
        unitConfig.RequiresMountsFor = [
          settings.repository.path
          settings.state.path
        ]
        ++ lib.optional (settings.media.path != null) settings.media.path;
        path = common.programs ++ [
          pkgs.bubblewrap
          postgresqlPackage
        ];
        serviceConfig =
          common.serviceConfig cfg
          // {
            ExecStartPre =
              lib.optional usesPassword "${writePassfile}" ++ [ "${permafrost} init --config ${configFile}" ];
            # the store's file, so that a changed setting restarts the service
            ExecStart = "${permafrost} run --config ${configFile}";
            # fed once a second while it works, but not if a job has produced no output for schedule.hung_after_s
            WatchdogSec = 180;
            IOSchedulingClass = "best-effort";
            IOSchedulingPriority = 7;
            StateDirectory = "permafrost";
            StateDirectoryMode = "0750";
            # keyrings that last as long as a job, in memory
            RuntimeDirectory = "permafrost";
            RuntimeDirectoryMode = "0700";
            ProtectHome = protectHome writable read;
            ReadWritePaths =
              map (path: "-${path}") writable
              # Syncthing marks the media folder with a hidden folder, and writes nothing else there
              ++ lib.optional (settings.media.path != null) "-${settings.media.path}";
            SystemCallFilter = [
              "@system-service"
              "~@privileged @resources"
            ];
            RestrictNamespaces = true;
          }
          // drill.serviceConfig
          // lib.optionalAttrs (cfg.passphraseFile != null || usesPassword) {
            LoadCredential =
              lib.optional (cfg.passphraseFile != null) "passphrase:${cfg.passphraseFile}"
              ++ lib.optional usesPassword "database-password:${database.passwordFile}";
          };
      };
    };
  };
}
