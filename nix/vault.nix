# A vault: services.permafrost-vault. docs/how-to/set-up-nixos.md explains it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.permafrost-vault;
  own = import ./types.nix { inherit lib; };
  common = import ./service.nix { inherit lib pkgs; };
  inherit (common) inStore isBelow withoutNulls;
  toml = pkgs.formats.toml { };
  permafrost = lib.getExe cfg.package;

  runtimeDir = "/run/permafrost-vault";
  lineFile = name: "${runtimeDir}/${name}.line";
  servers = lib.filterAttrs (_: server: server.invitationFile != null) cfg.servers;
  rendered =
    withoutNulls cfg.settings
    // lib.optionalAttrs (servers != { }) { line_files = map lineFile (lib.attrNames servers); };
  settingsFile = toml.generate "vault.toml" rendered;
  # The vault's folder links to this place and not into the store, where the file goes with its generation.
  settingsPath = "/etc/permafrost/vault.toml";
  # A server on this machine has a Syncthing too, which takes port 22000.
  besideServer = config.services.permafrost.enable && config.services.permafrost.settings.syncthing.managed;
  besideListen = [
    "tcp://:22001"
    "quic://:22001"
    "dynamic+https://relays.syncthing.net/endpoint"
  ];
in
{
  options.services.permafrost-vault = {
    enable = lib.mkEnableOption "a permafrost vault, which keeps copies of Mastodon servers. It can read neither databases nor secrets";

    inherit (common) package;

    user = lib.mkOption {
      type = lib.types.str;
      default = "permafrost";
      description = "The user that owns the copies. The user `permafrost` is created.";
    };

    group = lib.mkOption {
      type = lib.types.str;
      default = "permafrost";
      description = "The group of the copies. The group `permafrost` is created.";
    };

    path = lib.mkOption {
      type = lib.types.str;
      default = "/var/lib/permafrost-vault";
      example = "/mnt/disk/permafrost";
      description = "The vault's folder. All of it must be on one file system.";
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to open the ports of the vault's own Syncthing: 22000 for TCP and UDP, or those in
        `settings.syncthing.listen`, and 21027 for UDP, by which machines of one network find each other.
      '';
    };

    servers = lib.mkOption {
      default = { };
      description = ''
        Servers that this vault joins when it starts. Those joined with `permafrost vault join` need no entry. The names
        are for you only; a server's folder has the name that the server gives itself.
      '';
      example = lib.literalExpression ''
        {
          social.invitationFile = "/run/agenix/permafrost-invitation";
        }
      '';
      type = lib.types.attrsOf (
        lib.types.submodule {
          options.invitationFile = lib.mkOption {
            type = lib.types.nullOr own.secretFile;
            default = null;
            example = "/run/agenix/permafrost-invitation";
            description = ''
              A file with the line that `permafrost vault invite` prints on the server. It may belong to root, and is not
              needed any more once the vault has joined.
            '';
          };
        }
      );
    };

    settings = lib.mkOption {
      default = { };
      example = lib.literalExpression ''
        {
          name = "attic";
          history.monthly = 24;
        }
      '';
      description = "The vault's settings, as in docs/reference/configuration.md. A null leaves a key out.";
      type = lib.types.submodule {
        freeformType = toml.type;
        options.name = lib.mkOption {
          type = lib.types.nullOr own.name;
          default = null;
          description = "The vault's own name. If null, the one that it was invited by.";
        };
        options.syncthing.listen = lib.mkOption {
          type = lib.types.listOf lib.types.str;
          default = if besideServer then besideListen else [ "default" ];
          defaultText = lib.literalMD ''`[ "default" ]`, or port 22001 beside {option}`services.permafrost`'';
          description = "Where the vault's Syncthing listens for servers; `default` is port 22000.";
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !(lib.any (folder: isBelow folder cfg.path) [ "/tmp" "/var/tmp" ]);
        message = ''
          services.permafrost-vault.path: is below /tmp or /var/tmp, which the service has for itself (PrivateTmp).
        '';
      }
      {
        assertion = lib.hasPrefix "/" cfg.path && !(inStore cfg.path);
        message = "services.permafrost-vault.path: must be an absolute path outside of the Nix store.";
      }
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (name: server: [
        {
          assertion = server.invitationFile != null;
          message = ''
            services.permafrost-vault.servers.${name}.invitationFile: set it to a file with the line that
            `permafrost vault invite` prints on the server; the vault has no other way in.
          '';
        }
        {
          assertion = builtins.match "[A-Za-z0-9][A-Za-z0-9._-]*" name != null;
          message = ''
            services.permafrost-vault.servers.${name}: a name has letters, digits, dots and hyphens only.
          '';
        }
      ]) cfg.servers
    );

    warnings = common.portWarning {
      option = "services.permafrost-vault";
      whose = "the vault's";
      inherit (cfg.settings) syncthing;
      hosts = config.services.syncthing;
    };

    environment.etc."permafrost/vault.toml".source = settingsFile;
    environment.systemPackages = [ cfg.package ];

    networking.firewall = common.firewall cfg;
    users = common.users cfg;

    systemd.tmpfiles.settings.permafrost-vault.${cfg.path}.d = {
      inherit (cfg) user group;
      mode = "0700";
    };

    systemd.services.permafrost-vault = {
      description = "permafrost: keeps copies of Mastodon servers";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      inherit (common) after;
      restartTriggers = [ settingsFile ];
      unitConfig.RequiresMountsFor = [ cfg.path ];
      path = common.programs;
      serviceConfig =
        common.serviceConfig cfg
        // {
          # As root, since the file may be root's; and it may be gone, once the vault has joined.
          ExecStartPre = lib.mapAttrsToList (
            name: server:
            "-+${pkgs.coreutils}/bin/install -m 0400 -o ${cfg.user} -g ${cfg.group} ${server.invitationFile} ${lineFile name}"
          ) servers;
          ExecStart = "${permafrost} vault run --path ${cfg.path} --settings ${settingsPath}";
          # fed after each piece of work, which takes a few seconds or the hashing of one object
          WatchdogSec = 900;
          IOSchedulingClass = "idle";
          RuntimeDirectory = "permafrost-vault";
          RuntimeDirectoryMode = "0700";
          ProtectHome = if lib.any (folder: isBelow folder cfg.path) [ "/home" "/root" ] then "tmpfs" else true;
          ReadWritePaths = [ "-${cfg.path}" ];
          RestrictNamespaces = true;
          SystemCallFilter = [
            "@system-service"
            "~@privileged @resources"
          ];
        }
        // lib.optionalAttrs (isBelow "/home" cfg.path || isBelow "/root" cfg.path) { BindPaths = [ cfg.path ]; };
    };
  };
}
