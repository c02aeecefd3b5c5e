import Bytes
import GatewayConfig
import Routing

/// How a client has come in: the path that it has asked for, and the page that it came from. A reload looks with it for the route that
/// the client has now.
///
/// Two references, as most clients come in by the same few ways: a worker keeps those once (`WaysIn`).
package struct WayIn: Sendable {
  /// The page of a client that has named its origin.
  struct Page: Sendable, Hashable {
    /// The `Origin` of the request.
    let origin: String
    /// The host that the client has asked for.
    let host: String
    /// Whether the client has spoken TLS, as far as it is known.
    let isSecure: Bool
  }

  /// One for all clients that came from the page.
  final class SharedPage: Sendable {
    let page: Page

    init(_ page: Page) { self.page = page }
  }

  /// As routes match it.
  let path: [UInt8]
  /// Nil for a client without an `Origin`.
  let page: SharedPage?

  init(path: [UInt8], page: SharedPage?) {
    self.path = path
    self.page = page
  }

  /// Leads nowhere.
  static let unknown = WayIn(path: [], page: nil)

  init(path: [UInt8], origin: String?, host: String, isSecure: Bool) {
    self.init(
      path: path, page: origin.map { SharedPage(Page(origin: $0, host: host, isSecure: isSecure)) })
  }

  init(_ path: RequestPath, origin: String?, host: String, of client: Client) {
    self.init(
      path: path.bytes,
      page: origin.map {
        SharedPage(Page(origin: $0, host: client.host(host), isSecure: client.isSecure))
      })
  }

  /// Whether a session's handshake would pass the check of the origin.
  func isAdmitted(by origins: OriginPolicy) -> Bool {
    // Without an `Origin` the host makes no difference.
    guard let page = page?.page else { return origins.allows(origin: nil, host: "") }
    return origins.allows(origin: page.origin, host: page.host, isSecure: page.isSecure)
  }

  /// Whether the page could read an event stream.
  func mayRead(by origins: OriginPolicy) -> Bool {
    guard let page = page?.page else { return true }
    return origins.access(origin: page.origin, host: page.host, isSecure: page.isSecure) != .refused
  }
}

/// The ways in of a worker's clients that are shared, as far as there are few of them.
struct WaysIn {
  /// Of paths, and of pages. What comes beyond is not shared, and sooner or later takes the place of the others.
  private static let most = 64

  private var paths: Set<[UInt8]> = []
  private var pages: [WayIn.Page: WayIn.SharedPage] = [:]

  /// The same way in, by what others keep already.
  mutating func shared(_ way: WayIn) -> WayIn {
    if paths.count >= Self.most { paths = [] }
    let path = paths.insert(way.path).memberAfterInsert
    guard let page = way.page else { return WayIn(path: path, page: nil) }
    if let known = pages[page.page] { return WayIn(path: path, page: known) }
    if pages.count >= Self.most { pages = [:] }
    pages[page.page] = page
    return WayIn(path: path, page: page)
  }
}
