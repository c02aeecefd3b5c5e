/// The stable name of a kind of finding, as printed in `error[unknown-key]`.
///
/// SARIF shows `summary` as the description of its rule.
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
  // Found by trying, `validate --connect`.
  case layerUnreachable = "layer-unreachable"
  case djangoDisagrees = "django-disagrees"
}
