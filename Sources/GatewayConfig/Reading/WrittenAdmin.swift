/// What a file says about `server.admin`, for commands that look for its gateway: the rest of the file may be broken, and its secrets are
/// not needed.
package enum WrittenAdmin: Sendable, Hashable {
  case address(AdminAddress)
  /// A sentence.
  case unreadable(String)

  /// - Parameter environment: the variables for the token, and in the address.
  package init(in path: String, environment: [String: String], files: any FileAccess = Disk()) {
    let reading = Reading(files: files, environment: environment)
    guard let document = Composition(reading: reading).read(path, overlays: []) else {
      let fault = reading.findings.all.first { $0.severity == .error }
      self = .unreadable(fault.map(Self.sentence) ?? "\(path) cannot be read")
      return
    }
    guard let node = document.entry("server")?.value.entry("admin")?.value else {
      self = .address(.standard)
      return
    }
    // What is wrong elsewhere is not of interest here.
    reading.findings = Findings()
    let address = AdminAddress(reading: node, reading)
    if let fault = reading.findings.all.first(where: { $0.severity == .error }) {
      self = .unreadable(Self.sentence(fault))
    } else {
      self =
        address.map(Self.address) ?? .unreadable("server.admin of \(path) needs a variable that is not set")
    }
  }

  private static func sentence(_ finding: Finding) -> String {
    let place = finding.range.map { "\($0.file.path):\($0.start.line): " } ?? ""
    return place + finding.message
  }
}
