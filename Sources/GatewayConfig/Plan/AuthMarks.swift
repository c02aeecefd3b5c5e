import Routing

/// What is looser about who may use a route.
struct AuthMarks {
  let old: ComparedTable.Route
  let new: ComparedTable.Route
  let place: MarkPlace
  let capturesAgree: Bool

  var all: [SecurityMark] {
    guard let auth = old.auth else { return [] }
    guard let now = new.auth else { return removal(of: auth) }
    var marks: [SecurityMark] = []
    if !auth.isOptional, now.isOptional {
      marks.append(
        place.mark(
          .authOptional, "auth_optional", "clients without credentials are let in as anonymous clients"))
    }
    if !isSameEntry {
      marks.append(
        place.mark(
          .authOther, "auth", "\"\(now.name)\" says who clients are, and not \"\(auth.name)\" any more"))
    }
    return marks + ruleMarks(auth, now) + permissionMarks(auth, now)
  }

  /// A client with the token of a publish route is trusted as the operator's own program is.
  private func removal(of auth: RouteAuth) -> [SecurityMark] {
    if let publish = new.publish, !publish.isAnonymous { return [] }
    guard new.keepsAuth else { return [] }
    return [
      place.mark(.authRemoved, "auth", "clients need no credentials, where \"\(auth.name)\" asked for them")
    ]
  }

  /// Whether both names stand for one entry.
  private var isSameEntry: Bool {
    old.auth?.name == new.auth?.name || old.entry?.kind == new.entry?.kind
  }

  private func ruleMarks(_ old: RouteAuth, _ new: RouteAuth) -> [SecurityMark] {
    let known = clients(of: old, place: "old")
    guard !clients(of: new, place: "new").isWithin(known) else { return [] }
    let now = new.requirements.isEmpty ? "no rule" : new.requirementText
    return [
      place.mark(
        .requireWeaker, "require",
        "clients are let in by \(now), and \(old.requirementText) refused some of them"
      )
    ]
  }

  /// The clients by their claims alone.
  ///
  /// - Parameter place: an identification of the file, where captures may be others.
  private func clients(of auth: RouteAuth, place: String) -> AdmittedClients {
    var auth = auth
    (auth.name, auth.isOptional, auth.permission, auth.placedCallback) = ("", false, nil, nil)
    return AdmittedClients(auth, of: GroupPattern(parts: []), route: capturesAgree ? "" : place)
  }

  private func permissionMarks(_ old: RouteAuth, _ new: RouteAuth) -> [SecurityMark] {
    guard let known = old.permission else { return [] }
    guard let now = new.permission else {
      return [
        place.mark(
          .permissionDropped, "permission",
          "\(known.question.shownURL) is not asked any more whether a client may")
      ]
    }
    var marks: [SecurityMark] = []
    if !now.asksTheSame(as: known) {
      marks.append(
        place.mark(
          .permissionDropped, "permission",
          now.question.words(insteadOf: known.question, "is asked whether a client may")))
    }
    if let recheck = known.question.recheck, now.question.recheck == nil {
      marks.append(
        place.mark(
          .permissionDropped, "recheck",
          "a client keeps its permission, which was asked for anew every \(recheck.written)"
        ))
    }
    return marks
  }
}

extension ComparedTable.Route {
  /// Whether credentials protect something: a page or a redirection is for everybody.
  fileprivate var keepsAuth: Bool {
    switch kind {
    case .webSocket: true
    case .http(let route): route.action.dependsOnIdentity
    }
  }
}
