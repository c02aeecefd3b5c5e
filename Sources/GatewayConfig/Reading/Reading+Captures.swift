extension Reading {
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
