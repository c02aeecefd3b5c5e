/// `installed_apps`: the built-in consumer apps by name, and local apps by their folder.
struct InstalledApps {
  /// A folder with an `app.yaml`.
  struct LocalApp {
    /// The name of the folder, which routes use.
    var name: String
    /// Named sets of consumer options.
    var presets: [Node.Entry]
    var webSocketPatterns: Node?
    var httpPatterns: Node?
    /// The app's file, to which its paths are relative.
    var file: String
  }

  private(set) var builtIn: Set<ConsumerType> = []
  private(set) var local: [LocalApp] = []
  private(set) var names: [String] = []
  /// The built-in apps that were probably meant by misspelt entries, which need no second finding that they are not installed.
  private(set) var misspelt: Set<ConsumerType> = []
  /// The place of the list, for the hint to add an app to it.
  private(set) var range: SourceRange?

  static func read(_ top: MappingCursor, _ reading: Reading) -> InstalledApps {
    var apps = InstalledApps()
    guard let node = top.required("installed_apps", hint: "installed_apps: [echo, chat, broadcast]") else {
      return apps
    }
    apps.range = node.range
    for app in reading.words(node, "\"installed_apps\"") ?? [] {
      apps.install(app, reading)
    }
    return apps
  }

  private mutating func install(_ app: Located<String>, _ reading: Reading) {
    let text = app.value
    let name = text.contains("/") ? Paths.name(of: text) : text
    guard !names.contains(name) else {
      return reading.findings.error(.duplicateName, "the app \"\(name)\" is installed twice", at: app.range)
    }
    if let known = ConsumerType(rawValue: text) {
      builtIn.insert(known)
      names.append(name)
      return
    }
    let folder = reading.place(of: text, at: app.range)
    guard text.contains("/") || reading.files.isDirectory(folder) else {
      let known = ConsumerType.allCases.map(\.rawValue)
      if let meant = NearestName.of(text, in: known).flatMap(ConsumerType.init) { misspelt.insert(meant) }
      return reading.findings.error(
        .unknownName, "there is no app \"\(text)\"", at: app.range,
        hint: NearestName.hint(for: text, in: known))
    }
    guard ConsumerType(rawValue: name) == nil else {
      return reading.findings.error(
        .duplicateName, "\"\(name)\" is the name of a built-in app", at: app.range)
    }
    names.append(name)
    readLocal(name, Paths.join(folder, "app.yaml"), app.range, reading)
  }

  private mutating func readLocal(_ name: String, _ path: String, _ range: SourceRange, _ reading: Reading) {
    guard
      let node = reading.document(
        path, as: .include(range, ifEmpty: "begin with websocket_urlpatterns or http_urlpatterns")),
      let mapping = MappingCursor(node, .app, reading)
    else { return }
    let presets = mapping.value("consumers").flatMap { MappingCursor($0, "\"consumers\"", reading)?.entries }
    local.append(
      LocalApp(
        name: name, presets: presets ?? [], webSocketPatterns: mapping.value("websocket_urlpatterns"),
        httpPatterns: mapping.value("http_urlpatterns"), file: path))
    mapping.finish()
  }

  /// The names that a route may use as its consumer.
  var consumerNames: [String] {
    ConsumerType.allCases.map(\.rawValue)
      + local.flatMap { app in app.presets.map { "\(app.name).\($0.key.value)" } }
  }
}
