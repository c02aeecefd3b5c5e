import JSON

/// Reads the action of an HTTP route.
struct HTTPActionReader {
  let context: RouteContext
  /// The names that the route captures; nil if they are not known.
  let captures: [String]?
  let settings: RouteSettings

  private var reading: Reading { context.reading }

  func read(_ answer: Node.Entry) -> HTTPAction? {
    switch answer.key.value {
    case "static": readStatic(answer.value)
    case "respond": readRespond(answer.value)
    case "redirect": readRedirect(answer.value)
    case "proxy":
      UpstreamReader(reading: reading, captures: captures).readHTTP(answer.value).map(HTTPAction.proxy)
    case "publish":
      PublishReader(context: context, captures: captures, settings: settings).read(answer)
        .map(HTTPAction.publish)
    default: reading.choice(answer.value, "\"health\"", of: HealthProbe.self).map(HTTPAction.health)
    }
  }

  /// `static:`, a folder, or `{folder:, fallback:}`.
  private func readStatic(_ node: Node) -> HTTPAction? {
    guard case .mapping = node.content else {
      return readFolder(node).map { .staticFiles(directory: reading.files.absolute($0), fallback: nil) }
    }
    guard let mapping = MappingCursor(node, .files, reading) else { return nil }
    let folder = mapping.required("folder", hint: "folder: dist").flatMap(readFolder)
    var fallback: String?
    if let value = mapping.value("fallback"), let name = reading.word(value, "\"fallback\"") {
      fallback = name
      if let folder { checkFallback(name, in: folder, at: value.range) }
    }
    mapping.finish()
    return folder.map { .staticFiles(directory: reading.files.absolute($0), fallback: fallback) }
  }

  /// The fallback has to be one of the served files.
  private func checkFallback(_ name: String, in folder: String, at range: SourceRange) {
    let segments = name.split(separator: "/", omittingEmptySubsequences: false)
    guard segments.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") }), !name.contains("\\") else {
      return reading.findings.error(
        .invalidValue, "\"fallback\" is a file inside the folder, by its path from there", at: range,
        hint: "write index.html")
    }
    let path = Paths.join(folder, name)
    guard reading.files.isFile(path) else {
      return reading.findings.error(
        .unreadableFile, "there is no file \"\(path)\"", at: range, hint: reading.nearestFile(path, at: nil))
    }
    guard let root = reading.files.resolved(folder.isEmpty ? "." : folder),
      let target = reading.files.resolved(path), !target.hasPrefix(root == "/" ? root : root + "/")
    else { return }
    reading.findings.error(
      .unreadableFile,
      "\"\(path)\" is a link to \"\(target)\", which is outside of the folder and is never served",
      at: range, hint: "copy the file into the folder")
  }

  /// - Returns: the path of the folder, relative to the working directory of the process.
  private func readFolder(_ node: Node) -> String? {
    guard let name = reading.word(node, "\"static\"") else { return nil }
    let path = reading.place(of: name, at: node.range)
    guard reading.files.isDirectory(path.isEmpty ? "." : path) else {
      return reading.refuse(
        .unreadableFile, "there is no folder \"\(path)\"", at: node.range,
        hint: reading.nearestFile(path, at: node.range) ?? "it is looked for beside the file that names it")
    }
    return path
  }

  // MARK: - Fixed answers

  private func readRespond(_ node: Node) -> HTTPAction? {
    guard case .mapping = node.content else {
      return reading.text(node, "\"respond\"").map { text in
        .respond(FixedResponse(status: 200, headers: [Self.plainText], body: Array(text.utf8)))
      }
    }
    guard let mapping = MappingCursor(node, .response, reading) else { return nil }
    let status = mapping.integer("status") ?? 200
    var headers = readHeaders(mapping.value("headers"))
    let text = mapping.entry("body")
    let json = mapping.entry("json")
    mapping.finish()
    if let text, let json {
      reading.findings.error(
        .conflictingKeys, "\"respond\" takes \"body\" or \"json\", not both", at: json.key.range,
        related: [.init("the other one", at: text.key.range)])
    }
    if let body = text ?? json, [204, 205, 304].contains(status) {
      reading.findings.error(
        .conflictingKeys, "a response with status \(status) cannot have a body", at: body.key.range,
        hint: "remove \"\(body.key.value)\", or choose another status")
    }
    var body: [UInt8] = []
    var type: (name: String, value: String)?
    if let text, let value = reading.text(text.value, "\"body\"") {
      body = Array(value.utf8)
      type = Self.plainText
    } else if let json {
      reading.json(json.value).append(to: &body)
      type = ("Content-Type", "application/json")
    }
    if let type, !headers.contains(where: { $0.name.lowercased() == "content-type" }) { headers.append(type) }
    return .respond(FixedResponse(status: status, headers: headers, body: body))
  }

  private static let plainText = (name: "Content-Type", value: "text/plain; charset=utf-8")

  private func readHeaders(_ node: Node?) -> [(name: String, value: String)] {
    guard let node, let mapping = MappingCursor(node, "\"headers\"", reading) else { return [] }
    return mapping.entries.compactMap { entry in
      let name = entry.key.value
      guard name.isHTTPToken else {
        return reading.refuse(.invalidValue, "\"\(name)\" is not a valid header name", at: entry.key.range)
      }
      if ["content-length", "transfer-encoding", "connection", "upgrade"].contains(name.lowercased()) {
        return reading.refuse(
          .invalidValue, "Sluice sets \"\(name)\" itself", at: entry.key.range, hint: "remove it")
      }
      guard let value = reading.text(entry.value, "a header") else { return nil }
      guard value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
        return reading.refuse(
          .invalidValue, "a header value must be one line without control characters", at: entry.value.range)
      }
      return (name, value)
    }
  }

  // MARK: - Redirects

  private func readRedirect(_ node: Node) -> HTTPAction? {
    var target: Node? = node
    var status = 302
    if case .mapping = node.content {
      guard let mapping = MappingCursor(node, .redirect, reading) else { return nil }
      target = mapping.required("to", hint: "to: /new/")
      if let value = mapping.value("status"), let number = mapping.integer("status") {
        status = number
        if ![301, 302, 303, 307, 308].contains(number) {
          reading.findings.error(
            .outOfRange, "\(number) is not a redirect status", at: value.range,
            hint: "301, 302, 303, 307 or 308")
        }
      }
      mapping.finish()
    }
    guard let target, let text = reading.word(target, "\"redirect\""),
      let template = reading.textTemplate(text, at: target.range)
    else { return nil }
    checkTarget(text, template, at: target.range)
    return .redirect(to: template, status: status)
  }

  private func checkTarget(_ text: String, _ template: TextTemplate, at range: SourceRange) {
    if !text.hasPrefix("/"), !text.hasPrefix("http://"), !text.hasPrefix("https://") {
      reading.findings.error(
        .invalidValue, "the target of a redirect must be a path or a URL", at: range,
        hint: "begin with \"/\" or \"https://\"")
    }
    if text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) {
      reading.findings.error(
        .invalidValue, "a URL cannot contain spaces or special characters", at: range,
        hint: "percent-encode them")
    }
    reading.checkCaptures(template.places, among: captures, at: range)
  }
}

extension String {
  /// RFC 9110 section 5.6.2: whether it is a valid name for a header or a subprotocol.
  var isHTTPToken: Bool {
    !isEmpty && utf8.allSatisfy { (0x21...0x7E).contains($0) && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
  }
}
