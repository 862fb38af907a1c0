# The units of the server's drills: permafrost.service asks by the socket, and the service does one. They do not exist
# where no drill is scheduled. systemd/permafrost-drill.service explains the settings.
{
  lib,
  cfg,
  configFile,
  protectHome,
  path,
}:
let
  inherit (cfg) settings;
  socket = "/run/permafrost-drill.socket";
  isScheduled = settings.schedule.drill != "off";
  makesNamespaces = (settings.state.sandbox or "bubblewrap") == "bubblewrap";
  writable = [ settings.state.path ] ++ lib.optional (settings.state ? scratch) settings.state.scratch;
  passphrase = settings.encryption.passphrase_file;
  read = [ settings.repository.path ] ++ lib.optional (passphrase != null) passphrase;
in
{
  # what permafrost.service needs of them
  wants = lib.optional isScheduled "permafrost-drill.socket";
  serviceConfig = lib.optionalAttrs isScheduled { Environment = "PERMAFROST_DRILL_SOCKET=${socket}"; };

  sockets = lib.optionalAttrs isScheduled {
    permafrost-drill = {
      description = "permafrost: starts the drills that the service asks for";
      listenStreams = [ socket ];
      socketConfig = {
        SocketUser = cfg.user;
        SocketMode = "0600";
        RemoveOnStop = true;
      };
    };
  };

  services = lib.optionalAttrs isScheduled {
    permafrost-drill = {
      description = "permafrost: proves a backup by restoring it";
      # a switch to another system leaves a drill alone; the next one has the new settings
      restartIfChanged = false;
      unitConfig.RefuseManualStart = true;
      unitConfig.RequiresMountsFor = [
        settings.repository.path
        settings.state.path
      ];
      inherit path;
      serviceConfig =
        import ./sandbox.nix
        // {
          Type = "exec";
          ExecStart = "${lib.getExe cfg.package} run-drill --config ${configFile}";
          User = cfg.user;
          Group = cfg.group;
          SuccessExitStatus = "15 143";
          TimeoutStopSec = 20;
          OOMPolicy = "continue";
          Nice = 10;
          IOSchedulingClass = "best-effort";
          IOSchedulingPriority = 7;
          ReadWritePaths = map (folder: "-${folder}") writable;
          ProtectHome = protectHome writable read;
          PrivateNetwork = true;
          IPAddressDeny = "any";
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_NETLINK" # bubblewrap brings up the loopback device of a sandbox
          ];
          RuntimeDirectory = "permafrost-drill";
          RuntimeDirectoryMode = "0700";
          SystemCallFilter = [
            "@system-service"
            "~@privileged @resources"
          ]
          ++ lib.optional makesNamespaces "capset mount pivot_root umount2";
        }
        // lib.optionalAttrs (!makesNamespaces) { RestrictNamespaces = true; }
        # the database's password is not for a drill
        // lib.optionalAttrs (cfg.passphraseFile != null) {
          LoadCredential = [ "passphrase:${cfg.passphraseFile}" ];
        };
    };
  };
}
