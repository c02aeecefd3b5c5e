package import Bytes
import ChannelLayers
import JSON

/// An identity as a record.
package struct IdentityState: Sendable {
  package let identity: Identity

  /// How deep identities are inside each other at most: who the client was before its view has said something, and before a
  /// permission has.
  private static let depth = 3

  package init(_ identity: Identity) {
    self.identity = identity
  }

  package func write(to record: inout RecordWriter) {
    record.add(1, text: identity.user)
    record.add(2, json: identity.claims)
    if let expires = identity.expires { record.add(3, expires) }
    for group in identity.groups { record.addAlways(4, text: group) }
    if let before = identity.beforePermission { record.record(5) { IdentityState(before).write(to: &$0) } }
    if let permission = identity.permission { record.add(6, json: permission) }
    guard let viewed = identity.viewed else { return }
    record.record(7) { record in
      if let user = viewed.user { record.addAlways(1, text: user) }
      if let claims = viewed.claims { record.add(2, json: claims) }
      if let before = viewed.before { record.record(3) { IdentityState(before).write(to: &$0) } }
    }
  }

  package init(_ bytes: ArraySlice<UInt8>) throws(RecordedFault) {
    identity = try Self.identity(bytes, depth: Self.depth)
  }

  private static func identity(_ bytes: ArraySlice<UInt8>, depth: Int) throws(RecordedFault) -> Identity {
    guard depth > 0 else { throw RecordedFault("an identity is inside of too many others") }
    var record = RecordReader(bytes)
    var user = ""
    var claims = JSON.object([])
    var expires: Double?
    var groups: [String] = []
    var before: Identity?
    var permission: JSON?
    var viewed: ArraySlice<UInt8>?
    while let field = try record.next() {
      switch field.number {
      case 1: user = try field.text()
      case 2: claims = try field.json()
      case 3: expires = try field.double()
      case 4: groups.append(try field.text())
      case 5: before = try identity(try field.slice(), depth: depth - 1)
      case 6: permission = try field.json()
      case 7: viewed = try field.slice()
      default: break
      }
    }
    guard !user.isEmpty else { throw RecordedFault("an identity has no name") }
    if let viewed { return try Self.viewed(viewed, depth: depth) }
    return Identity(
      user: user, claims: claims, groups: groups, expires: expires, beforePermission: before,
      permission: permission)
  }

  /// What a view has said, of somebody or of nobody.
  private static func viewed(_ bytes: ArraySlice<UInt8>, depth: Int) throws(RecordedFault) -> Identity {
    var record = RecordReader(bytes)
    var user: String?
    var claims: JSON?
    var before: Identity?
    while let field = try record.next() {
      switch field.number {
      case 1: user = try field.text()
      case 2: claims = try field.json()
      case 3: before = try identity(try field.slice(), depth: depth - 1)
      default: break
      }
    }
    if let before { return before.changed(user: user, claims: claims) }
    guard let user else { throw RecordedFault("a view has named nobody") }
    return Identity(asView: user, claims)
  }
}
