# What services.permafrost refuses, because it cannot work or would give a secret away. Each message begins with the
# option to change.
{
  lib,
  cfg,
  recipients,
  isBelow,
  isManaged,
  peer,
}:
let
  settings = cfg.settings;
  inStore = path: path != null && lib.hasPrefix "${builtins.storeDir}/" path;
  hidden = path: lib.any (folder: isBelow folder path) [ "/tmp" "/var/tmp" ];
in
[
  {
    assertion = settings.database.url != null;
    message = ''
      services.permafrost.settings.database.url: set it, or services.mastodon.enable. There is no database to back up.
    '';
  }
  {
    assertion = cfg.passphraseFile == null || recipients == [ ];
    message = ''
      services.permafrost.passphraseFile: backups are encrypted with a passphrase or to
      services.permafrost.settings.encryption.recipients, not both.
    '';
  }
  {
    assertion =
      cfg.passphraseFile == null
      || recipients != [ ]
      || settings.encryption.passphrase_file == "credential:passphrase";
    message = ''
      services.permafrost.passphraseFile: services.permafrost.settings.encryption.passphrase_file names another file.
    '';
  }
  {
    assertion = recipients == [ ] || settings.encryption.passphrase_file == null;
    message = ''
      services.permafrost.settings.encryption.passphrase_file: must be null with
      services.permafrost.settings.encryption.recipients.
    '';
  }
  {
    assertion = !(inStore settings.encryption.passphrase_file);
    message = ''
      services.permafrost.settings.encryption.passphrase_file: is in the Nix store, which all users of this machine can
      read. Set services.permafrost.passphraseFile to a file outside of it.
    '';
  }
  {
    assertion = !(inStore settings.syncthing.api_key_file);
    message = ''
      services.permafrost.settings.syncthing.api_key_file: is in the Nix store, which all users of this machine can read.
    '';
  }
  {
    assertion = recipients == [ ] || settings.encryption.recipients_dir != null;
    message = ''
      services.permafrost.settings.encryption.recipients_dir: set it to the folder of the recipients' public keys.
    '';
  }
  {
    assertion = isManaged || (settings.syncthing.url != null && settings.syncthing.api_key_file != null);
    message = ''
      services.permafrost.settings.syncthing: managed = false needs url and api_key_file.
    '';
  }
  {
    assertion = peer == null || peer == cfg.user;
    message = ''
      services.permafrost.user: is ${cfg.user}, and PostgreSQL's peer authentication lets in only ${toString peer}, the
      role in services.permafrost.settings.database.url.
    '';
  }
  {
    assertion = !(hidden settings.repository.path);
    message = ''
      services.permafrost.settings.repository.path: is below /tmp or /var/tmp, which the service has for itself
      (PrivateTmp) and which are emptied.
    '';
  }
  {
    assertion = !(hidden settings.state.path);
    message = ''
      services.permafrost.settings.state.path: is below /tmp or /var/tmp, which the service has for itself (PrivateTmp).
    '';
  }
]
++ lib.mapAttrsToList (name: _: {
  assertion = builtins.match "[a-z0-9][a-z0-9.-]{0,62}" name != null;
  message = ''
    services.permafrost.vaults.${name}: a vault's name has lower-case letters, digits, dots and hyphens only.
  '';
}) cfg.vaults
