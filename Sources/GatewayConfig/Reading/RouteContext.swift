/// The context for reading all routes of a file.
final class RouteContext {
  let reading: Reading
  let apps: InstalledApps
  /// The aliases of the channel layers, including those that could not be read; nil if they are not known.
  let layers: [String]?
  /// For each alias, the alias that represents all layers with the same groups.
  let groupSpaces: [String: String]
  /// The names outside of applications that a route may refer to.
  let auth: AuthSettings
  /// `limits.handshake`
  let handshake: Duration
  /// Whether it was reported that the layer `default` has a misspelt alias.
  var hasReportedLayer = false
  /// Whether it was reported that messages may be larger than a question to a view.
  var hasReportedMessageSize = false
  /// The local apps that routes of each kind include.
  var included: [RouteKind: Set<String>] = [:]
  private var routeCount = 0

  /// Routes of the whole configuration, counting each include anew, because files that include each other can produce any
  /// number of routes.
  private static let mostRoutes = 100_000

  init(
    reading: Reading, apps: InstalledApps, layers: [String]?, groupSpaces: [String: String],
    auth: AuthSettings, handshake: Duration
  ) {
    self.reading = reading
    self.apps = apps
    self.layers = layers
    self.groupSpaces = groupSpaces
    self.auth = auth
    self.handshake = handshake
  }

  /// Whether there are too many routes. The routes read until then are not analysed.
  var hasTooManyRoutes: Bool { routeCount > Self.mostRoutes }

  /// Counts one more route.
  ///
  /// - Returns: false if there are too many, which is reported once.
  func countRoute(at range: SourceRange) -> Bool {
    routeCount += 1
    if routeCount == Self.mostRoutes + 1 {
      reading.findings.error(
        .yamlLimit, "there are more than \(Self.mostRoutes) routes, counting each include anew", at: range)
    }
    return !hasTooManyRoutes
  }

  /// Reports a `connect_timeout` of a consumer that never passes, as the handshake ends before.
  func checkConnectTimeout(_ options: ConsumerOptions, _ values: RouteOptions) {
    let time = values[.connectTimeout]
    guard let written = options["connect_timeout"], time > handshake else { return }
    reading.findings.warning(
      .limitsDisagree,
      "\"connect_timeout\" is \(time.written), and \"limits.handshake\" ends the handshake after \(handshake.written)",
      at: written.value.range, hint: "raise \"limits.handshake\", or lower \"connect_timeout\"")
  }

  /// Checks all installed apps, whether a route uses them or not.
  func checkApps() {
    let settings = RouteSettings(auth: auth)
    for app in apps.local {
      for preset in app.presets { ConsumerReader(context: self, captures: nil, isPreset: true).check(preset) }
      for (kind, node) in [(RouteKind.webSocket, app.webSocketPatterns), (.http, app.httpPatterns)] {
        guard let node, included[kind]?.contains(app.name) != true else { continue }
        RouteListReader(context: self, kind: kind).read(node, settings, [])
      }
    }
  }
}
