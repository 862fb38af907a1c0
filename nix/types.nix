# Types of values that nixpkgs has under different names, or not at all, depending on its age.
{ lib }:
{
  # A string, never a path literal: Nix would copy the file that a literal names into the store, for all to read.
  secretFile =
    lib.types.addCheck lib.types.str (
      value: builtins.match "/[^\n]*" value != null && !(lib.hasPrefix "${builtins.storeDir}/" value)
    )
    // {
      name = "secretFile";
      description = "absolute path, as a string, of a file outside of the Nix store";
      descriptionClass = "noun";
    };

  # Shape only: the check letters are checked by `permafrost config check`, when the system is built.
  deviceId = lib.types.strMatching "([A-Z2-7]{7}-){7}[A-Z2-7]{7}";

  # A server's or a vault's name becomes a folder's name on the other side.
  name = lib.types.strMatching "[a-z0-9][a-z0-9.-]{0,62}";
}
