# What all services are shut away from. It is what systemd/*.service says, and more: here the module knows which folders
# are used, so that /home can be closed altogether.
{
  ProtectSystem = "strict";
  PrivateMounts = true;
  PrivateTmp = true;
  PrivateDevices = true;
  PrivateUsers = true;
  DevicePolicy = "closed";
  RestrictAddressFamilies = [
    "AF_UNIX"
    "AF_INET"
    "AF_INET6"
    "AF_NETLINK" # Syncthing asks for local addresses
  ];
  NoNewPrivileges = true;
  CapabilityBoundingSet = "";
  AmbientCapabilities = "";
  LockPersonality = true;
  MemoryDenyWriteExecute = true;
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  # what a command of the same user, run by hand, has in memory would go with the end of a service
  RemoveIPC = false;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  SystemCallErrorNumber = "EPERM";
  UMask = "0077";
}
