extension FindingCode {
  /// What the code stands for, in one sentence: the description of its SARIF rule.
  package var summary: String {
    switch self {
    case .unreadableFile: "A file or folder cannot be read."
    case .yamlSyntax: "The text is not YAML, or a kind of YAML that is not used here."
    case .yamlLimit: "The text is larger or deeper than is read."
    case .duplicateKey: "A key stands twice in one mapping."
    case .yamlSurprise: "YAML readers disagree about what this value is."
    case .unknownKey: "There is no such key at this place."
    case .missingKey: "A key that is needed is not there."
    case .conflictingKeys: "Two keys exclude each other."
    case .wrongType: "The value is of another kind than is expected."
    case .invalidValue: "The value is malformed."
    case .outOfRange: "The number is too small or too large."
    case .missingUnit: "A size or time has no unit."
    case .unknownName: "The name refers to nothing in this configuration."
    case .undefinedVariable: "An environment variable without a default is not set."
    case .plainSecret: "A secret is written into the file."
    case .duplicateName: "Two things have the same name."
    case .appNotInstalled: "A route uses an app that is not installed."
    case .includeCycle: "An include leads back to itself."
    case .invalidPattern: "The pattern of a route is malformed."
    case .unsupportedPattern: "The pattern of a route cannot be decided by an automaton."
    case .unreachableRoute: "Routes before this one answer every path it matches."
    case .partlyCoveredRoute: "An earlier route answers some of the paths this one matches."
    case .impossiblePattern: "No request path can match the pattern."
    case .unanchoredPattern: "The pattern also matches in the middle of a path."
    case .ambiguousPrefix: "A pattern before nested routes can end in more than one place."
    case .notProved: "An analysis was given up, so nothing is promised."
    case .invalidGroup: "The template of a group is malformed."
    case .illegalGroupName: "A path leads to a group name that channel layers refuse."
    case .collidingGroups: "Different captures lead to the same group."
    case .layerUnreachable: "A channel layer was tried, and does not carry events."
    case .djangoDisagrees: "A Django project does not speak through the same channel layer."
    }
  }
}
