/// The reference of the keys: tables for the manual, and text for a terminal.
package enum KeyReference {
  /// Keys that are told of together, under a title of the manual.
  package struct Section: Sendable {
    package var title: String
    var places: [KeyPlace]
    /// Whether a key is named by its whole path.
    var hasPaths = false
    /// Whether it says for which protocol a key is.
    var hasProtocols = false
    /// The consumer whose own options it has; nil for a section with the other keys of its places.
    var consumer: ConsumerType?

    /// The consumers that have a section for the options that no other has.
    private static let consumers: Set<ConsumerType> = [.view]

    /// The keys whose first place is one of the section's, in the order of the places.
    package var keys: [Key] {
      places.flatMap { place in
        Key.all.filter { key in
          let owner = key.consumers?.count == 1 ? key.consumers?.first : nil
          return key.places.first == place
            && (owner.map(Self.consumers.contains) == true ? owner == consumer : consumer == nil)
        }
      }
    }
  }

  package static let sections = [
    Section(
      title: "Top level",
      places: [
        .file, .channelLayer, .authenticator, .application, .server, .address, .admin, .shutdown, .logging,
      ],
      hasPaths: true),
    Section(title: "Limits", places: [.limits, .perAddress, .perUser, .ping, .rate], hasPaths: true),
    Section(title: "Routes", places: [.webSocketRoute, .httpRoute, .httpRoutes], hasProtocols: true),
    Section(title: "Keys of view", places: [.webSocketRoute], consumer: .view),
    Section(title: "Keys of history", places: [.history]),
    Section(
      title: "Keys of connect, receive and deliver",
      places: [.greeting, .receive, .receiveAction, .delivery, .recipient, .closing], hasPaths: true),
    Section(title: "Keys of events", places: [.eventStream]),
    Section(title: "Keys of publish", places: [.publish]),
    Section(title: "Keys of proxies", places: [.proxy, .upstreamTLS]),
    Section(
      title: "Keys of static, respond and redirect", places: [.files, .response, .redirect], hasPaths: true),
    Section(title: "Keys of jwt", places: [.jwt, .tokenSource]),
    Section(title: "Keys of callback", places: [.callback]),
    Section(title: "Keys of permission", places: [.permission]),
    Section(title: "Keys of user", places: [.userClaim]),
    Section(title: "Keys of compression", places: [.compression]),
    Section(title: "Keys of tls", places: [.serverTLS, .certificate]),
    Section(
      title: "Keys of config",
      places: [.config(.redis), .redisHost]
        + ChannelLayerConfiguration.BackendName.allCases.filter { $0 != .redis }.map(KeyPlace.config)),
    Section(title: "Keys of secrets", places: [.secret]),
    Section(title: "Keys of app.yaml", places: [.app]),
  ]

  // MARK: - For the manual

  /// Every section as a heading and a table.
  package static var markdown: String {
    (sections.map { "## \($0.title)\n\n\($0.table)" } + ["## Consumers\n\n\(consumers)"]).joined(
      separator: "\n")
  }

  private static var consumers: String {
    let rows = ConsumerType.allCases.map { ["`\($0.rawValue)`", $0.exchange.sent, $0.exchange.received] }
    return table(["consumer", "a client sends", "the client gets"], rows)
  }

  /// A table in Markdown.
  fileprivate static func table(_ head: [String], _ rows: [[String]]) -> String {
    func line(_ cells: [String]) -> String {
      "| " + cells.map { $0.isEmpty ? "" : $0 + " " }.joined(separator: "| ") + "|\n"
    }
    return line(head) + "|" + String(repeating: "---|", count: head.count) + "\n" + rows.map(line).joined()
  }

  // MARK: - For a terminal

  /// Every key with its first sentence.
  package static var text: String {
    sections.map { section in
      let keys = section.keys
      let names = keys.map(section.name)
      let width = names.map(\.count).max() ?? 0
      let lines = zip(names, keys).map { name, key in
        "  \(name)\(String(repeating: " ", count: width - name.count))  \(key.firstSentence)\n"
      }
      return section.title + "\n" + lines.joined()
    }.joined(separator: "\n")
  }

  /// Everything about the keys of a name, or of a path such as `limits.ping`.
  ///
  /// - Returns: nil if there is no such key.
  package static func text(of name: String) -> String? {
    let keys = keys(of: name)
    return keys.isEmpty ? nil : keys.map(\.description).joined(separator: "\n")
  }

  /// What to say where there is no such key.
  package static func hint(for name: String) -> String? {
    let last = name.split(separator: ".").last.map(String.init) ?? name
    let known = Set(Key.all.map(\.name))
    let meant = Habits.key(for: last, in: known) ?? NearestName.of(last, in: known.sorted())
    return meant.map { "did you mean \"\($0)\"?" }
  }

  private static func keys(of name: String) -> [Key] {
    let parts = name.split(separator: ".").map(String.init)
    guard let last = parts.last else { return [] }
    return Key.all.filter { key in
      guard key.name == last else { return false }
      return parts.count == 1
        || key.places.contains { place in
          let path = (place.path + key.name).replacing("[]", with: "").split(separator: ".").map(String.init)
          // A name in capitals stands for any.
          return path.count >= parts.count
            && zip(path.suffix(parts.count), parts).allSatisfy { $0 == $1 || $0 == $0.uppercased() }
        }
    }
  }
}

extension KeyReference.Section {
  /// As a table in Markdown.
  package var table: String {
    let head = ["key"] + (hasProtocols ? ["protocol"] : []) + ["meaning", "default"]
    let rows = rows.map { keys in
      ["`\(name(of: keys[0]))`"] + (hasProtocols ? [protocols(of: keys)] : [])
        + [consumer == nil ? keys[0].fullMeaning : keys[0].meaningWithRange, keys[0].standard]
    }
    return KeyReference.table(head, rows)
  }

  fileprivate func name(of key: Key) -> String { hasPaths ? key.path : key.name }

  /// The keys of each row: those of a name that mean the same stand together.
  private var rows: [[Key]] {
    keys.reduce(into: []) { rows, key in
      if let row = rows.firstIndex(where: { $0[0].name == key.name && $0[0].meaning == key.meaning }) {
        rows[row].append(key)
      } else {
        rows.append([key])
      }
    }
  }

  private func protocols(of keys: [Key]) -> String {
    let places = keys.flatMap(\.places)
    let isWebSocket = places.contains(.webSocketRoute) || places.contains(.webSocketRoutes)
    let isHTTP = places.contains(.httpRoute) || places.contains(.httpRoutes)
    return isWebSocket && isHTTP ? "both" : isWebSocket ? "WebSocket" : "HTTP"
  }
}

extension Key {
  /// Its meaning, with the consumers that it is for and the values that it takes.
  fileprivate var fullMeaning: String {
    var text = ""
    if let consumers, consumers.count < ConsumerType.allCases.count {
      let names = consumers.map { "`\($0.rawValue)`" }
      text = names.joined(last: "and") + " only. "
    }
    return text + meaningWithRange
  }

  fileprivate var meaningWithRange: String {
    guard let range = value.range(besides: meaning) else { return meaning }
    return meaning + " " + range
  }

  fileprivate var firstSentence: String {
    let text = meaning.plain
    guard let end = text.firstRange(of: ". ") else { return text }
    return String(text[..<end.lowerBound]) + "."
  }

  fileprivate var description: String {
    var lines = [path, "  " + fullMeaning.plain, "  value    \(value.words)"]
    if !standard.isEmpty { lines.append("  default  \(standard.plain)") }
    // The configs of all back ends are one place for a reader.
    lines.append("  where    \(places.map(\.home).unique.joined(separator: "; "))")
    return lines.joined(separator: "\n") + "\n"
  }
}

extension KeyValue {
  /// The range of a number, a time or a size, and the words of a choice, as a sentence in Markdown; nil if the meaning says it.
  fileprivate func range(besides meaning: String) -> String? {
    if let integers {
      guard !meaning.contains("\(integers.upperBound)") else { return nil }
      return "A number from \(integers.lowerBound) to \(integers.upperBound.grouped)."
    }
    if let times { return "From `\(times.lowerBound.written)` to `\(times.upperBound.written)`." }
    if let sizes { return "From `\(sizes.lowerBound)` to `\(sizes.upperBound)`." }
    guard case .choice(let words) = self else { return nil }
    let shown = words.map { "`\($0)`" }
    return shown.allSatisfy(meaning.contains) ? nil : shown.joined(last: "or") + "."
  }
}

extension [String] {
  /// `A, B and C`
  func joined(last word: String) -> String {
    count < 2 ? joined() : dropLast().joined(separator: ", ") + " \(word) " + suffix(1).joined()
  }
}

extension Int {
  /// `10,000,000`
  fileprivate var grouped: String {
    let digits = String(self)
    return digits.enumerated().map { index, digit in
      index > 0 && (digits.count - index).isMultiple(of: 3) ? ",\(digit)" : "\(digit)"
    }.joined()
  }
}

extension String {
  /// Without the signs of Markdown: links are their text.
  package var plain: String {
    replacing(/\[([^\]]+)\]\([^)]+\)/) { $0.output.1 }.replacing("`", with: "").replacing("\\*", with: "*")
  }
}
