extension Reading {
  /// Reports the names that are no captures of the route, if its captures are known.
  func checkCaptures(
    _ names: [String], among known: [String]?, _ code: FindingCode = .unknownName, at range: SourceRange
  ) {
    guard let known else { return }
    for name in names where !known.contains(name) { reportCapture(name, known: known, code, at: range) }
  }

  /// Reports that a template names a capture that its route does not have.
  func reportCapture(_ name: String, known: [String], _ code: FindingCode, at range: SourceRange) {
    // Names that users are likely to try first, such as Simple JWT's own claim.
    let isIdentity =
      code == .invalidGroup && ["user_id", "userid", "username", "claims", "sub"].contains(name)
    let identityHint =
      isIdentity ? "write {user} for the user, and {claims.NAME} for a claim of the token" : nil
    findings.error(
      code, "the route has no capture \"\(name)\"", at: range,
      hint: identityHint ?? NearestName.hint(for: name, in: known)
        ?? "the pattern of the route captures nothing")
  }
}
