/// The stable name of a kind of finding, as printed in `error[unknown-key]`.
package enum FindingCode: String, Sendable, Hashable, CaseIterable {
  // The text of the file.
  case unreadableFile = "unreadable-file"
  case yamlSyntax = "yaml-syntax"
  case yamlLimit = "yaml-limit"
  case duplicateKey = "duplicate-key"
  case yamlSurprise = "yaml-surprise"
  // Keys and values.
  case unknownKey = "unknown-key"
  case missingKey = "missing-key"
  case conflictingKeys = "conflicting-keys"
  case wrongType = "wrong-type"
  case invalidValue = "invalid-value"
  case outOfRange = "out-of-range"
  case missingUnit = "missing-unit"
  case unknownName = "unknown-name"
  case undefinedVariable = "undefined-variable"
  case plainSecret = "plain-secret"
  case duplicateName = "duplicate-name"
  case limitsDisagree = "limits-disagree"
  // Certificates of `server.tls`.
  case invalidCertificate = "invalid-certificate"
  case certificateDates = "certificate-dates"
  case exposedKey = "exposed-key"
  // Keys of `auth`.
  case invalidKey = "invalid-key"
  case weakSecret = "weak-secret"
  // Apps and includes.
  case appNotInstalled = "app-not-installed"
  case includeCycle = "include-cycle"
  // Routes.
  case invalidPattern = "invalid-pattern"
  case unsupportedPattern = "unsupported-pattern"
  case unreachableRoute = "unreachable-route"
  case partlyCoveredRoute = "partly-covered-route"
  case impossiblePattern = "impossible-pattern"
  case unanchoredPattern = "unanchored-pattern"
  case ambiguousPrefix = "ambiguous-prefix"
  case notProved = "not-proved"
  // Groups.
  case invalidGroup = "invalid-group"
  case illegalGroupName = "illegal-group-name"
  case collidingGroups = "colliding-groups"
  case groupLeak = "group-leak"
  case personalGroup = "personal-group"
  case groupAudience = "group-audience"
  case impersonation
  case reservedGroup = "reserved-group"
  case needlessShared = "needless-shared"
  // Views.
  case viewExposed = "view-exposed"
  // Found by trying, `validate --connect`.
  case layerUnreachable = "layer-unreachable"
  case djangoDisagrees = "django-disagrees"
  case viewDisagrees = "view-disagrees"
  case authDisagrees = "auth-disagrees"

  /// The meaning of the code in one sentence: the description of its SARIF rule.
  package var summary: String {
    switch self {
    case .unreadableFile: "A file or folder cannot be read."
    case .yamlSyntax: "The file is not valid YAML, or uses a part of YAML that Sluice does not support."
    case .yamlLimit: "The file is larger, or nested deeper, than Sluice reads."
    case .duplicateKey: "A mapping has the same key twice."
    case .yamlSurprise: "YAML readers disagree about what this value is."
    case .unknownKey: "The key is not known at this place."
    case .missingKey: "A required key is missing."
    case .conflictingKeys: "Two keys cannot be used together."
    case .wrongType: "The value has the wrong type."
    case .invalidValue: "The value is malformed."
    case .outOfRange: "The number is too small or too large."
    case .missingUnit: "A size or time has no unit."
    case .unknownName: "Nothing in the configuration has this name."
    case .undefinedVariable: "An environment variable without a default is not set."
    case .plainSecret: "A secret is written into the file."
    case .duplicateName: "Two things have the same name."
    case .limitsDisagree: "Two limits do not fit each other."
    case .invalidCertificate:
      "A certificate or its key cannot be used, or the certificate is for another name."
    case .certificateDates: "A certificate is not valid today."
    case .exposedKey: "Every user of the machine can read a private key."
    case .invalidKey: "A key for verifying tokens cannot be used."
    case .weakSecret: "A shared secret is too short for its algorithm."
    case .appNotInstalled: "A route uses an app that is not installed."
    case .includeCycle: "A file includes itself, directly or through other files."
    case .invalidPattern: "The pattern of a route is malformed."
    case .unsupportedPattern:
      "The pattern of a route uses a part of regular expressions that Sluice does not support."
    case .unreachableRoute: "Routes before this one answer every path it matches."
    case .partlyCoveredRoute: "An earlier route answers some of the paths this one matches."
    case .impossiblePattern: "No request path can match the pattern."
    case .unanchoredPattern: "The pattern also matches in the middle of a path."
    case .ambiguousPrefix: "A pattern before nested routes can end in more than one place."
    case .notProved: "Sluice could not decide a question about the routes, so nothing is proved."
    case .invalidGroup: "The template of a group is malformed."
    case .illegalGroupName: "A path leads to a group name that channel layers refuse."
    case .collidingGroups: "Different captures lead to the same group."
    case .groupLeak:
      "Clients without credentials can reach a group that another route restricts to authenticated clients."
    case .personalGroup: "A client can reach the group of another user."
    case .groupAudience: "Clients with different rights can reach the same group."
    case .impersonation: "Clients can send what is shown as another user's message."
    case .reservedGroup: "A group can have a name that is reserved for Sluice."
    case .needlessShared: "The key \"shared\" has no effect."
    case .viewExposed: "Clients can ask a view what only Sluice may ask."
    case .layerUnreachable: "A channel layer was tried and did not deliver events."
    case .viewDisagrees: "A view was asked and did not answer as it has to."
    case .authDisagrees: "A callback, a permission or a key set was asked and did not answer as it has to."
    case .djangoDisagrees: "A Django project does not use the same channel layer."
    }
  }
}
