package import Routing

/// Why a client gets no groups.
package enum GroupFault: Error, Sendable, Hashable {
  /// A template or a pattern of the route leads to no valid name.
  case name(GroupNameFault)
  /// A list fills the place, and the first group of this route is one group.
  case list(place: String, SingleGroupReason)
  /// The client would be in that many groups.
  case tooMany(Int)
  /// Its lists are empty, and the route has no other group.
  case noGroup
  /// The answer of a view names this group, and the route does not admit it.
  case notFromView(String)
}

/// Why the first group of a route is one group, and not one for each element of a list.
package enum SingleGroupReason: Sendable, Hashable {
  case takesMessages, hasHistory, hasPresence
}

extension GroupConfiguration {
  /// The most groups of a client, without those it subscribes to. Each costs a membership, and in Redis a key.
  package static let mostGroups = GroupPattern.mostElements

  /// Nil if the first group may as well be several.
  private var singleGroupReason: SingleGroupReason? {
    if takesMessages { return .takesMessages }
    if history != nil { return .hasHistory }
    return presence ? .hasPresence : nil
  }

  /// Whether nothing belongs to the first group of a client, so that it can leave it for another one.
  package var isFirstLikeOthers: Bool { singleGroupReason == nil }

  /// The groups of a client, each once.
  ///
  /// - Parameters:
  ///   - given: the groups that the answer of a view names. They come last, and count only for a route with `groups_from_view`:
  ///     other views name groups of Django's own there.
  ///   - value: of the identity, by the name in the template.
  /// - Returns: the fault if a name is not valid for the channel layer, or a list of the client's does not fit.
  package func names(
    for captures: Captures, given: [String] = [], value: (String) -> IdentityValue?
  ) -> Result<[String], GroupFault> {
    do throws(GroupFault) {
      var names: [String] = []
      for (number, template) in templates.enumerated() {
        if number == 0 { try checkFirst(template, value) }
        names += try template.names(for: captures, identity: value).mapError(GroupFault.name).get()
      }
      for pattern in subscribe {
        if let fault = pattern.faultOfList(value) { throw .name(fault) }
      }
      for name in fromView == nil ? [] : given {
        guard fromView?.admits(name) == true else { throw .notFromView(name) }
        names.append(name)
      }
      // Most clients have one group.
      if names.count > 1 { names = names.unique }
      guard !names.isEmpty || templates.isEmpty else { throw .noGroup }
      guard names.count <= Self.mostGroups else { throw .tooMany(names.count) }
      return .success(names)
    } catch {
      return .failure(error)
    }
  }

  /// Whether a list of the client's stands in the place of the first group.
  package func beginsWithList(_ value: (String) -> IdentityValue?) -> Bool {
    templates.first?.identityFields.contains { if case .list = value($0) { true } else { false } } ?? false
  }

  private func checkFirst(
    _ template: GroupPattern, _ value: (String) -> IdentityValue?
  ) throws(GroupFault) {
    guard let reason = singleGroupReason else { return }
    for place in template.identityFields {
      if case .list = value(place) { throw .list(place: place, reason) }
    }
  }
}
