# A small stand-in for the part of nixpkgs' lib that nix/*.nix uses, enough to evaluate the modules without nixpkgs. It
# knows one definition of each option, and types as checks. It cannot show that options of other modules exist: for that
# there is real.nix.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    elemAt
    filter
    genList
    isAttrs
    isBool
    isList
    isString
    listToAttrs
    match
    removeAttrs
    stringLength
    substring
    ;
  mapAttrs = function: set: builtins.mapAttrs function set;
  show = path: concatStringsSep "." path;
  type = name: check: {
    inherit name check;
    apply =
      path: value:
      if check value then value else throw "A definition for option `${show path}' is not of type `${name}'.";
  };
  types = rec {
    str = type "string" isString;
    bool = type "boolean" isBool;
    path = type "path" (value: builtins.isPath value || isString value && hasPrefix "/" value);
    enum = values: type "one of" (value: builtins.elem value values);
    strMatching = pattern: type "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);
    addCheck = base: check: base // type base.name (value: base.check value && check value);
    either = left: right: type "${left.name} or ${right.name}" (value: left.check value || right.check value);
    nullOr = base: {
      name = "null or ${base.name}";
      check = value: value == null || base.check value;
      apply = path: value: if value == null then null else (retyped base).apply path value;
    };
    listOf = base: {
      name = "list of ${base.name}";
      check = isList;
      apply = path: value: if isList value then map ((retyped base).apply path) value else throw "${show path} is no list";
    };
    attrsOf = base: {
      name = "attribute set";
      check = isAttrs;
      apply = path: value: mapAttrs (name: (retyped base).apply (path ++ [ name ])) value;
    };
    submodule = module: {
      name = "submodule";
      check = isAttrs;
      apply =
        path: value:
        evalOptions (module.options or { }) value path
        // (if module ? freeformType then removeAttrs value (attrNames module.options) else { });
    };
  };
  # A type whose name or check was replaced with `//` keeps its own way to apply, if it has one.
  retyped = base: if base ? check && base.name != "submodule" && !(base ? apply) then type base.name base.check else base // {
    apply = if base.name == "secretFile" then (type base.name base.check).apply else base.apply;
  };
  isOption = value: isAttrs value && value._type or "" == "option";
  evalOptions =
    options: given: path:
    let
      known = mapAttrs (
        name: option:
        let
          here = path ++ [ name ];
        in
        if !isOption option then
          evalOptions option (given.${name} or { }) here
        else
          let
            value =
              if given ? ${name} then
                given.${name}
              else
                option.default or (throw "The option `${show here}' was accessed but has no value defined.");
            checked = (retyped option.type).apply here value;
          in
          (option.apply or (same: same)) checked
      ) options;
      free = removeAttrs given (attrNames options);
    in
    # keys beside typed ones are allowed below a freeform submodule, which is the only place where tests give some
    free // known;
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  merge =
    left: right:
    if isAttrs left && isAttrs right && !(left ? outPath) then
      left
      // mapAttrs (name: value: if left ? ${name} then merge left.${name} value else value) right
    else if isList left && isList right then
      left ++ right
    else
      right;
  letters = text: genList (index: substring index 1 text) (stringLength text);
in
rec {
  inherit
    types
    filter
    attrNames
    elemAt
    concatStringsSep
    isAttrs
    hasPrefix
    merge
    evalOptions
    mapAttrs
    ;
  any = builtins.any;
  head = builtins.head;
  toInt = builtins.fromJSON;
  unique = builtins.foldl' (kept: value: if builtins.elem value kept then kept else kept ++ [ value ]) [ ];
  concatLists = builtins.concatLists;
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = text: mkOption {
    type = types.bool;
    default = false;
    description = "Whether to enable ${text}.";
  };
  mkPackageOption =
    pkgs: name: _:
    mkOption {
      type = type "package" isAttrs;
      default = pkgs.${name};
      description = "The ${name} package to use.";
    };
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  literalExpression = text: text;
  literalMD = text: text;
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  optionalString = condition: text: if condition then text else "";
  optionalAttrs = condition: set: if condition then set else { };
  filterAttrs =
    keep: set:
    listToAttrs (
      map (name: {
        inherit name;
        value = set.${name};
      }) (filter (name: keep name set.${name}) (attrNames set))
    );
  mapAttrsToList = function: set: map (name: function name set.${name}) (attrNames set);
  genAttrs =
    names: function:
    listToAttrs (
      map (name: {
        inherit name;
        value = function name;
      }) names
    );
  getExe = package: "${package}/bin/permafrost";
  hasInfix = infix: text: match ".*${infix}.*" text != null;
  toLower =
    let
      upper = letters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
      lower = letters "abcdefghijklmnopqrstuvwxyz";
    in
    builtins.replaceStrings upper lower;
  escapeURL = builtins.replaceStrings [ "%" "/" "@" ":" " " ] [ "%25" "%2F" "%40" "%3A" "%20" ];
  escapeShellArgs = words: concatStringsSep " " (map (word: "'${word}'") words);
  # Undo mkIf at any depth.
  discharged =
    value:
    if isAttrs value && value._type or "" == "if" then
      if value.condition then discharged value.content else { }
    else if isAttrs value && !(value ? outPath) then
      mapAttrs (_: discharged) value
    else
      value;
}
