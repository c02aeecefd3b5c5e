import Routing

/// Groups that clients with different rights share now, and did not share before. `shared: true` allows it, and does not make it old.
struct SharingMarks {
  let old: [RouteGroups]
  let new: [RouteGroups]
  /// For the routes of each kind, the old ones that answered paths of a new one.
  let origins: [RouteKind: [Int: Set<Int>]]
  /// The routes by kind and index, for the marks.
  let routes: [RouteKind: [ComparedTable.Route]]

  private struct Meeting: Hashable {
    var kind: IsolationFinding.Kind
    var places: Set<Place>
  }

  private struct Place: Hashable {
    var kind: RouteKind
    var route: Int
    var key: RouteGroups.Key
  }

  var all: [SecurityMark] {
    guard !new.isEmpty else { return [] }
    let known = meetings(of: old).reduce(into: Set<Meeting>()) { $0.insert($1.meeting) }
    return meetings(of: new).compactMap { meeting, finding, encounter in
      isKnown(meeting, known) ? nil : mark(finding, encounter)
    }
  }

  /// Who shares a group with whom, whatever the file allows.
  private func meetings(
    of groups: [RouteGroups]
  ) -> [(meeting: Meeting, finding: IsolationFinding, encounter: Encounter)] {
    let uses = groups.map { groups in
      var use = groups.use
      use.isShared = false
      return use
    }
    let findings = IsolationAnalysis(uses, budget: .forAnalyses(of: uses.count)).findings()
    return findings.flatMap { finding -> [(Meeting, IsolationFinding, Encounter)] in
      switch finding.kind {
      case .reserved, .needlessShared: return []
      case .leak, .personal, .audience, .publicReading, .impersonation:
        return finding.encounters.map { encounter in
          let places = [finding.use, encounter.other].map { place(of: groups[$0]) }
          return (Meeting(kind: finding.kind, places: Set(places)), finding, encounter)
        }
      }
    }
  }

  private func place(of groups: RouteGroups) -> Place {
    Place(kind: groups.kind, route: groups.use.route, key: groups.key)
  }

  /// Whether routes that answered the same paths met in the same way.
  private func isKnown(_ meeting: Meeting, _ known: Set<Meeting>) -> Bool {
    let places = Array(meeting.places)
    func olds(_ place: Place) -> [Place] {
      (origins[place.kind]?[place.route] ?? []).map { Place(kind: place.kind, route: $0, key: place.key) }
    }
    guard let first = places.first else { return true }
    let second = places.count > 1 ? places[1] : first
    return olds(first).contains { one in
      olds(second).contains { other in
        known.contains(Meeting(kind: meeting.kind, places: [one, other]))
      }
    }
  }

  private func mark(_ finding: IsolationFinding, _ encounter: Encounter) -> SecurityMark {
    let (own, other) = (new[finding.use], new[encounter.other])
    let example = encounter.example
    let group = example.map { "the group \"\($0.name)\"" } ?? "a group"
    let partner = example?.otherPath.map { "\"/\($0)\"" } ?? "\"/\(other.path)\""
    let certainty = finding.isShown ? "" : "may be "
    let text =
      "\(group) is \(certainty)shared by \(own.use.audience.words) and \(other.use.audience.words) of \(partner)"
    let place = MarkPlace(
      route: routes[own.kind]?[own.use.route].named, kind: own.kind, example: example?.path)
    return place.mark(.groupShared, own.key.rawValue, text)
  }
}
