/// What the files of a configuration say: the tree that was read from them, with the place of each value.
///
/// A gateway shows with it what it serves, whatever the files say by then.
package struct WrittenConfiguration: Sendable {
  /// `routes.yaml with production.yaml`
  let name: String
  /// Every file that was read for it, in this order.
  package let source: ConfigurationFiles
  private(set) var document: Node
  /// The files and folders that values name, by the place of the value.
  let namedFiles: [SourceRange: String]
  /// The keys whose values are those of the gateway's start, because only a new process could have others: `server.threads`.
  private(set) var kept: [String] = []

  init(name: String, source: ConfigurationFiles, document: Node, namedFiles: [SourceRange: String]) {
    self.name = name
    self.source = source
    self.document = document
    self.namedFiles = namedFiles
  }

  /// With what another one says of a key, which may be nothing.
  ///
  /// - Parameter rest: a path below the key where this one counts all the same; nil for none.
  func keeping(_ key: String, besides rest: String? = nil, of other: WrittenConfiguration)
    -> WrittenConfiguration
  {
    func path(_ key: String) -> ArraySlice<String> { key.split(separator: ".").map(String.init)[...] }
    var whole = self
    whole.kept.append(key)
    whole.document = document.with(path(key), of: other.document)
    if let rest { whole.document = whole.document.with(path("\(key).\(rest)"), of: document) }
    return whole
  }
}

extension Node {
  /// A mapping with the value that another one has at a path, which may be none.
  fileprivate func with(_ path: ArraySlice<String>, of other: Node) -> Node {
    guard let key = path.first, var entries else { return self }
    let place = entries.firstIndex { $0.key.value == key }
    var whole = self
    switch (place, other.entry(key)) {
    case (let place?, let theirs?) where path.count > 1 && entries[place].value.entries != nil:
      entries[place].value = entries[place].value.with(path.dropFirst(), of: theirs.value)
    case (let place?, let theirs?): entries[place] = theirs
    case (let place?, nil) where path.count > 1:
      entries[place].value = entries[place].value.with(path.dropFirst(), of: Node(.mapping([]), at: range))
    case (let place?, nil): entries.remove(at: place)
    case (nil, var theirs?):
      if path.count > 1 {
        theirs.value = Node(.mapping([]), at: theirs.value.range).with(path.dropFirst(), of: theirs.value)
      }
      if theirs.value.entries?.isEmpty != true { entries.append(theirs) }
    case (nil, nil): break
    }
    whole.content = .mapping(entries)
    return whole
  }
}
