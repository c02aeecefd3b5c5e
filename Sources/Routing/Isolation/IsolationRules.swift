/// Uses that are alike in all that matters to who may share a group with whom.
struct UseClass: Hashable {
  /// The number of what they can be called.
  var names: Int
  var audience: AdmittedClients
  var access: GroupUse.Access
  var isPublishing: Bool
  /// Whether an identity tells whose groups they are.
  var isPersonal: Bool
  var signature: GroupUse.Signature
}

/// What of two uses that come by the same group is to be told.
///
/// Who may read a group is said by those who read it: one that only writes there keeps nothing to itself, but what others
/// write can be taken for its own.
struct IsolationRules {
  struct Concern {
    var kind: IsolationFinding.Kind
    var question: MeetingDecision.Question
  }

  /// In the order in which they are asked; the first that is so is told.
  static func concerns(of low: UseClass, over high: UseClass) -> [Concern] {
    // Of two that only publish nobody takes anything from the other.
    let touches = high.access.reads || low.access.writes && !(low.isPublishing && high.isPublishing)
    switch (low.audience, high.audience) {
    // Programs of the operator's own are trusted, as those behind a channel layer are.
    case (.tokenHolder, _), (_, .tokenHolder), (_, .everyone): return []
    case (.everyone, .authenticated):
      if touches { return [Concern(kind: .leak, question: .anyName)] }
      return low.access.reads && high.isPublishing ? [Concern(kind: .publicReading, question: .anyName)] : []
    case (.authenticated, .authenticated):
      let isWithin = low.audience.isWithin(high.audience)
      var concerns: [Concern] = []
      // To write to everybody is what those with more rights are for.
      let isFromAbove = isWithin && !high.audience.isWithin(low.audience) && !low.access.reads
      if high.isPersonal, high.access.reads, !isFromAbove {
        concerns.append(Concern(kind: .personal, question: .otherIdentity))
      }
      if !isWithin, high.access.reads { concerns.append(Concern(kind: .audience, question: .anyName)) }
      return concerns
    }
  }

  /// Whether clients of the one can send what is shown to those of the other as the message of another user, and nobody has said that
  /// they are trusted with it: those who have to fulfil more than the others are.
  static func canForge(_ writer: UseClass, for reader: UseClass) -> Bool {
    guard writer.signature == .forgeable else { return false }
    switch reader.signature {
    case .shown, .shownIfAdded: break
    case .none, .added, .forgeable: return false
    }
    guard case .authenticated(_, let require, let also) = writer.audience, !(require.isEmpty && also.isEmpty)
    else { return true }
    return reader.audience.isWithin(writer.audience) || !writer.audience.isWithin(reader.audience)
  }

  /// Whether messages of the one name the user who has sent them.
  static func addsUsers(_ writer: UseClass) -> Bool {
    switch writer.signature {
    case .added: true
    case .shown: writer.access.writes
    case .none, .shownIfAdded, .forgeable: false
    }
  }

  /// Whether there is anything to tell of any two of them.
  static func canMatter(_ uses: [GroupUse]) -> Bool {
    uses.contains { if case .authenticated = $0.audience { true } else { $0.signature == .shown } }
  }
}
