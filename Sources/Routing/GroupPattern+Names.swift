import Bytes

/// A fact about a client that fills a place.
package enum IdentityValue: Sendable, Hashable {
  case one(String)
  /// Each element makes a group of its own.
  case list([String])

  /// Nil for a list.
  var one: String? { if case .one(let text) = self { text } else { nil } }
}

/// Why a client gets no group by a template.
package enum GroupNameFault: Error, Sendable, Hashable {
  /// Nothing fills the place, or only an empty text.
  case nothing(place: String)
  /// What fills the place has a character that no name can have.
  case character(Character, place: String)
  /// The name would have that many characters.
  case tooLong(Int)
  /// The name begins like the gateway's own.
  case reserved
  /// Several places are filled with lists.
  case severalLists([String])
  /// The list has that many elements.
  case tooManyElements(Int, place: String)
  /// A pattern names no single group.
  case pattern
}

extension GroupPattern {
  /// The most elements of a list. An element costs a membership, and in Redis a key.
  package static let mostElements = 256

  /// The group of one session; nil if a channel layer would refuse the name: it has an invalid character, is too long, is
  /// reserved, has a capture that took no part in the match, or needs a fact about the client that is not known. A `*` names no
  /// group.
  ///
  /// - Parameter identity: the client's identity, by `user` or `claims.NAME`.
  package func name(for captures: Captures, identity: (String) -> String? = { _ in nil }) -> String? {
    try? filled(captures, identity).get()
  }

  /// The groups of one session, each once: one, or one for each element of a list.
  ///
  /// - Parameter identity: the client's identity, by `user` or `claims.NAME`.
  package func names(
    for captures: Captures, identity: (String) -> IdentityValue?
  ) -> Result<[String], GroupNameFault> {
    do throws(GroupNameFault) {
      guard let list = try onlyList(among: identity).get() else {
        return .success([try filled(captures) { identity($0)?.one }.get()])
      }
      var names: [String] = []
      var seen: Set<String> = []
      for element in list.elements {
        let name = try filled(captures) { $0 == list.place ? element : identity($0)?.one }.get()
        if seen.insert(name).inserted { names.append(name) }
      }
      return .success(names)
    } catch {
      return .failure(error)
    }
  }

  /// Why a list of the client's cannot fill a place of a pattern; nil if it can, or there is none.
  package func faultOfList(_ identity: (String) -> IdentityValue?) -> GroupNameFault? {
    switch onlyList(among: identity) {
    case .failure(let fault): return fault
    case .success(nil): return nil
    case .success(let list?):
      for element in list.elements {
        if element.isEmpty { return .nothing(place: list.place) }
        guard parts.contains(.identity(list.place, .plain)) else { continue }
        if let wrong = element.illegalCharacter { return .character(wrong, place: list.place) }
      }
      return nil
    }
  }

  /// The place that a list fills; nil if there is none. In several places of one template, the same list has the same element.
  private func onlyList(
    among identity: (String) -> IdentityValue?
  ) -> Result<(place: String, elements: [String])?, GroupNameFault> {
    var found: [(place: String, elements: [String])] = []
    for place in identityFields {
      guard !found.contains(where: { $0.place == place }), case .list(let elements)? = identity(place) else {
        continue
      }
      guard elements.count <= Self.mostElements else {
        return .failure(.tooManyElements(elements.count, place: place))
      }
      found.append((place, elements))
    }
    guard found.count <= 1 else { return .failure(.severalLists(found.map(\.place))) }
    return .success(found.first)
  }

  private func filled(
    _ captures: Captures, _ identity: (String) -> String?
  ) -> Result<String, GroupNameFault> {
    var name = ""
    for part in parts {
      let value: String?
      let place: String
      switch part {
      case .literal(let text):
        name += text
        continue
      case .capture(let capture, let form):
        place = capture
        value = captures[capture].map(form.text)
      case .identity(let field, let form):
        place = field
        value = identity(field).map(form.text)
        if value?.isEmpty == true { return .failure(.nothing(place: place)) }
      case .converted, .anything: return .failure(.pattern)
      }
      guard let value else { return .failure(.nothing(place: place)) }
      if let wrong = value.illegalCharacter { return .failure(.character(wrong, place: place)) }
      name += value
    }
    if GroupName.isOpen(name) { return .success(name) }
    if name.isEmpty { return .failure(.nothing(place: captureNames.first ?? "")) }
    return .failure(name.utf8.count > GroupName.longest ? .tooLong(name.utf8.count) : .reserved)
  }

  /// Whether the pattern matches the group, for a client with these captures and this identity. If a place cannot be filled, or
  /// is filled with an empty text, no group matches.
  ///
  /// Takes time in proportion to the name, whatever the number of `*`.
  package func matches(
    _ name: String, captures: Captures = Captures(), identity: (String) -> String? = { _ in nil }
  ) -> Bool {
    guard GroupName.isOpen(name) else { return false }
    if let isMatch = matchesPlainly(name) { return isMatch }
    var pieces: [[UInt8]] = [[]]
    for part in parts {
      let filled: String?
      switch part {
      case .anything:
        pieces.append([])
        continue
      case .literal(let text): filled = text
      case .capture(let place, let form): filled = captures[place].map(form.text)
      case .identity(let place, let form): filled = identity(place).map(form.text)
      // Only `GroupsFromView` knows what a converter takes.
      case .converted: return false
      }
      guard let filled, !filled.isEmpty else { return false }
      pieces[pieces.count - 1] += filled.utf8
    }
    return Self.matches(Array(name.utf8), pieces)
  }

  /// Whether the pattern matches the group for one element of a list of the client's. With a list that `names` refuses it matches
  /// nothing.
  package func matchesAny(
    _ name: String, captures: Captures, identity: (String) -> IdentityValue?
  ) -> Bool {
    guard case .success(let list) = onlyList(among: identity) else { return false }
    guard let list else { return matches(name, captures: captures) { identity($0)?.one } }
    return list.elements.contains { element in
      matches(name, captures: captures) { $0 == list.place ? element : identity($0)?.one }
    }
  }

  /// The most frequent patterns are a text, everything, and everything behind a text: they need no pieces, which each published event
  /// would allocate. Nil for any other pattern.
  private func matchesPlainly(_ name: String) -> Bool? {
    switch (parts[0], parts.count) {
    case (.literal(let text), 1): name == text
    case (.anything, 1): true
    case (.literal(let start), 2) where parts[1] == .anything: name.hasPrefix(start)
    default: nil
    }
  }

  /// - Parameter pieces: the texts between the `*`; one piece if there is no `*`.
  private static func matches(_ name: [UInt8], _ pieces: [[UInt8]]) -> Bool {
    let first = pieces[0]
    guard pieces.count > 1 else { return name == first }
    let last = pieces[pieces.count - 1]
    guard name.count >= first.count + last.count, name.starts(with: first),
      name.suffix(last.count).elementsEqual(last)
    else { return false }
    // The first possible place of each piece is the best for the pieces after it.
    var rest = name[first.count..<(name.count - last.count)]
    for piece in pieces[1..<(pieces.count - 1)] where !piece.isEmpty {
      guard let found = rest.firstRange(of: piece) else { return false }
      rest = rest[found.upperBound...]
    }
    return true
  }
}

extension String {
  /// The first character that no group name can have.
  fileprivate var illegalCharacter: Character? {
    utf8.allSatisfy(GroupName.isLegal) ? nil : first { !$0.utf8.allSatisfy(GroupName.isLegal) }
  }
}

extension GroupPattern.Form {
  /// The value as it stands in a name.
  func text(_ value: String) -> String {
    switch self {
    case .plain: value
    case .escaped: GroupName.escaped(value)
    }
  }

  /// The value that stands in a name as this text.
  func value(of text: String) -> String {
    switch self {
    case .plain: text
    case .escaped: GroupName.unescaped(text) ?? text
    }
  }
}
