import Routing

/// What is looser about a publish API.
struct PublishMarks {
  /// Nil where no publish API answered these paths.
  let old: PublishConfiguration?
  let new: PublishConfiguration
  /// Whether users could publish, and whether they can.
  let hadUsers: Bool
  let hasUsers: Bool
  let place: MarkPlace
  let budget: WorkBudget

  var all: [SecurityMark] {
    guard let old else {
      return new.isAnonymous ? [place.mark(.publishOpened, "anonymous", Self.open)] : []
    }
    var marks: [SecurityMark] = []
    if new.isAnonymous, !old.isAnonymous {
      marks.append(place.mark(.publishOpened, "anonymous", Self.open))
    } else if hasUsers, !hadUsers, !old.isAnonymous {
      marks.append(
        place.mark(.publishOpened, "auth", "users may use the API, which only holders of a token could"))
    }
    marks += secretMarks(old)
    let operations = new.operations.subtracting(old.operations).map(\.rawValue).sorted()
    if !operations.isEmpty {
      marks.append(
        place.mark(.publishOpened, "allow", "the API also does \(operations.joined(separator: ", "))"))
    }
    switch NameWidening(from: old.groups, to: new.groups, budget: budget.share()) {
    case .none: break
    case .shown(let name):
      marks.append(place.mark(.groupsWidened, "publish", "requests may name \"\(name)\", which was refused"))
    case .open:
      marks.append(
        place.mark(.groupsWidened, "publish", "requests may name other groups; whether more was not decided"))
    }
    return marks
  }

  private static let open = "every client that reaches the path may use the API"

  /// One that opens the route, and did not. One that takes the place of another may be known to more people, as another key may.
  private func secretMarks(_ old: PublishConfiguration) -> [SecurityMark] {
    let hasNew =
      new.tokens.contains { !old.tokens.contains($0) } || new.secrets.contains { !old.secrets.contains($0) }
    guard !old.isAnonymous, !new.isAnonymous, hasNew else { return [] }
    let known = old.tokens.count + old.secrets.count
    let words =
      switch known {
      case 0: "holders of a token may use the API"
      case ..<(new.tokens.count + new.secrets.count): "one more token or secret gives access"
      default: "another token or secret gives access"
      }
    return [place.mark(.publishOpened, new.secrets.isEmpty ? "token" : "secret", words)]
  }
}
