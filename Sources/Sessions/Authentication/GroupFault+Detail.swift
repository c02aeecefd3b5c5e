import Consumers
import GatewayConfig
import JSON
import Routing

// Why a client has no group, in words for the log. They repeat nothing of a token but one character.

extension GroupFault {
  func detail(for identity: Identity, in groups: GroupConfiguration) -> String {
    switch self {
    case .name(let fault): fault.detail(for: identity)
    case .notFromView(let name): (groups.fromView ?? GroupsFromView([])).reason(for: name)
    case .list(let place, let reason):
      "the claim \"\(place.claim)\" is a list, and {\(place)} in \"group\" needs one text or number: \(reason.words)"
    case .tooMany(let count):
      "the client would be in \(count) groups, and at most \(GroupConfiguration.mostGroups) are possible"
    case .noGroup: "the lists that name the client's groups are empty"
    }
  }
}

extension GroupNameFault {
  fileprivate func detail(for identity: Identity) -> String {
    switch self {
    case .nothing(let place): return identity.whyNothing(fills: place)
    case .character(let character, let place):
      let shown = character == " " ? "a space" : "\"\(character)\""
      return
        "{\(place)} has the character \(shown), which no group name can have: write {\(place)|escaped} for any text"
    case .tooLong(let count):
      return "the group name would have \(count) characters, and at most \(GroupName.longest) are possible"
    case .reserved:
      return "the group name would begin with \"\(GroupName.reservedPrefix)\", which is reserved for Sluice"
    case .severalLists(let places):
      let claims = places.map { "\"\($0.claim)\"" }.joined(separator: " and ")
      return "the claims \(claims) are lists, and one group name takes one list"
    case .tooManyElements(let count, let place):
      return
        "the list \"\(place.claim)\" has \(count) elements, and at most \(GroupPattern.mostElements) are possible"
    // Templates have no "*".
    case .pattern: return "a pattern names no group"
    }
  }
}

extension Identity {
  fileprivate func whyNothing(fills place: String) -> String {
    let found: String
    switch claim(of: place) {
    case nil: found = "is missing"
    case .double: found = "is neither text nor a whole number"
    case .string(""): found = "is empty"
    case .array(let elements):
      let wrong = elements.first { $0.textInNames?.isEmpty != false }
      let what = wrong.map { $0.textInNames == nil ? $0.kindInWords : "is empty" } ?? "is no name"
      return "an element of the list \"\(place.claim)\" \(what), and {\(place)} needs texts or whole numbers"
    case let value?: found = value.kindInWords
    }
    return "the claim \"\(place.claim)\" \(found), and {\(place)} in \"group\" needs one text or number"
  }
}

extension SingleGroupReason {
  fileprivate var words: String {
    switch self {
    case .takesMessages: "messages of clients go to this group"
    case .hasHistory: "this group has a history"
    case .hasPresence: "this group has presence"
    }
  }
}

extension String {
  /// The claim of a place `claims.NAME`.
  fileprivate var claim: String {
    hasPrefix(GroupPattern.claimPrefix) ? String(dropFirst(GroupPattern.claimPrefix.count)) : self
  }
}
