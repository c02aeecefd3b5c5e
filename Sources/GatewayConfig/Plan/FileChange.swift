import JSON

/// A file of one side of a comparison, and the same file of the other side.
struct FileChange: Sendable, Hashable {
  enum Effect: String, Sendable {
    case same, changed, added, removed
  }

  var old: ReadFile?
  var new: ReadFile?

  var effect: Effect {
    switch (old, new) {
    case (nil, _): .added
    case (_, nil): .removed
    case (let old?, let new?): old.digest == new.digest ? .same : .changed
    }
  }

  /// In the order in which they were read. The file itself has a place of its own, also where it has another name. Secrets are not shown.
  static func all(from old: [ReadFile], to new: [ReadFile]) -> [FileChange] {
    func name(_ file: ReadFile) -> String {
      file.use == .configuration && !file.isOverlay ? "" : "\(file.role) \(file.path)"
    }
    let (old, new) = (old.filter { $0.digest != nil }, new.filter { $0.digest != nil })
    let known = Dictionary(old.map { (name($0), $0) }, uniquingKeysWith: { first, _ in first })
    let now = Set(new.map(name))
    return new.map { FileChange(old: known[name($0)], new: $0) }
      + old.filter { !now.contains(name($0)) }.map { FileChange(old: $0, new: nil) }
  }

  /// `changed  production.yaml (overlay): 9c1d2e3f4a5b -> 77aa0b1c2d3e`
  var text: String {
    let (old, new) = (old?.shortDigest, new?.shortDigest)
    let digests = effect == .changed ? "\(old ?? "") -> \(new ?? "")" : (new ?? old ?? "")
    return "\(name) (\(file?.role ?? "")): \(digests)"
  }

  private var file: ReadFile? { new ?? old }

  private var name: String {
    guard let old, let new, old.path != new.path else { return file?.path ?? "" }
    return "\(old.path) -> \(new.path)"
  }

  var json: JSON {
    ["effect": .string(effect.rawValue), "old": old?.json ?? .null, "new": new?.json ?? .null]
  }
}
