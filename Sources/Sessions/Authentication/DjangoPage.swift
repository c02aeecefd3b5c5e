import Bytes
import Routing
import WebSocketCore

/// A page that Django answers with in place of the view that was asked, so that the log can say what to change.
enum DjangoPage: Equatable {
  /// `CsrfViewMiddleware`, and DRF's SessionAuthentication.
  case csrf
  /// The `Host` is not in `ALLOWED_HOSTS`.
  case disallowedHost(String)
  /// `APPEND_SLASH`: the URL lacks its last slash.
  case missingSlash
  /// `SECURE_SSL_REDIRECT`
  case toHTTPS
  /// `login_required` sends a client to the page for logging in.
  case toLogin(String)
  /// The page for logging in itself.
  case login
  /// The page of `DEBUG = True` for a view that raised an exception, with the first line of it: `ValueError at /api/may`. Empty where
  /// that is not there.
  case raised(String)
  /// No URL of the project is this one. A view that raises Http404 answers with the same page.
  case notFound

  /// - Parameter question: what was asked.
  /// - Returns: nil if it is none of these.
  init?(_ answer: UpstreamFetcher.Answer, to question: Question) {
    let body = answer.body ?? []
    func has(_ text: StaticString) -> Bool { body.rawBytes.range(of: text) != nil }
    switch answer.status {
    case 200...299:
      // An object that has a page in it is not that page.
      guard answer.mayBePage, has("csrfmiddlewaretoken"), has("type=\"password\"") else { return nil }
      self = .login
    case 300...399:
      guard let location = answer.fields.first(where: { $0.name == "location" })?.value,
        let page = Self.redirect(to: location, from: question)
      else { return nil }
      self = page
    case 400:
      guard has("DisallowedHost") || has("<h1>Bad Request (400)</h1>") else { return nil }
      self = .disallowedHost(question.fields.first { $0.name == "Host" }?.value ?? "")
    case 403:
      guard has("CSRF verification failed") || has("CSRF Failed") else { return nil }
      self = .csrf
    case 404:
      guard has("The requested resource was not found on this server.") || has("DEBUG = True</code>") else {
        return nil
      }
      self = .notFound
    case 500...599:
      // The page lists all settings, so the name of one says nothing.
      if has("You called this URL via "), has("APPEND_SLASH") {
        self = .missingSlash
      } else if has("Django Version:") {
        self = .raised(Self.title(of: body))
      } else {
        return nil
      }
    default: return nil
    }
  }

  private static func redirect(to location: String, from question: Question) -> DjangoPage? {
    let path = question.target.prefix { $0 != "?" }
    let asked = RequestPath.decode(target: Array(path.utf8))
    let target = RequestPath.decode(target: Array(location.utf8))
    guard case .success(let asked) = asked, case .success(let target) = target else { return nil }
    if target.bytes == asked.bytes + [UInt8(ascii: "/")] { return .missingSlash }
    if target.bytes == asked.bytes, location.hasPrefix("https://") { return .toHTTPS }
    let parameters = NamedValue.parameters(of: target.query)
    return parameters.contains { $0.isNamed("next") } ? .toLogin(printable(location)) : nil
  }

  /// What stands first in a page: the title of HTML, or the first line of a text. Printable, and at most 200 characters.
  private static func title(of page: [UInt8]) -> String {
    let bytes = page.rawBytes
    var title = 0..<(bytes.offset(of: UInt8(ascii: "\n")) ?? bytes.byteCount)
    if let start = bytes.range(of: "<title>")?.upperBound,
      let end = bytes.range(of: "</title>", from: start)?.lowerBound
    {
      title = start..<end
    }
    let words = bytes.string(title).split(whereSeparator: \.isWhitespace)
    return String(words.map { printable(String($0)) }.joined(separator: " ").prefix(200))
  }

  private static func printable(_ text: String) -> String { RefusalLog.printable(Array(text.utf8)) }

  /// What it is, for the log.
  var found: String {
    switch self {
    case .csrf: "Django answered that its check of CSRF failed"
    case .disallowedHost(let host):
      "Django answered 400, as it does where ALLOWED_HOSTS does not have the Host, here \"\(Self.printable(host))\""
    case .missingSlash: "Django redirects this URL to the one with a \"/\" at its end (APPEND_SLASH)"
    case .toHTTPS: "Django redirects this URL to https (SECURE_SSL_REDIRECT)"
    case .toLogin(let page): "the server answered with a redirect to the page for logging in, \(page)"
    case .login: "the server answered with the page for logging in"
    case .raised(let title): "the view raised an exception" + (title.isEmpty ? "" : ": \(title)")
    case .notFound:
      "Django answered with its own page for 404: no URL of the project is this one, or the view raised Http404"
    }
  }

  /// What to change.
  var hint: String {
    switch self {
    case .csrf: "decorate the view with @csrf_exempt, or pass on no cookies to it"
    case .disallowedHost: "add it to ALLOWED_HOSTS, or write host: upstream beside the URL"
    case .missingSlash: "write the \"/\" at the end of the URL"
    case .toHTTPS:
      "set SECURE_PROXY_SSL_HEADER for X-Forwarded-Proto, add the path to SECURE_REDIRECT_EXEMPT, or write an https URL"
    case .raised: "the log of Django has the whole of it"
    case .notFound: "compare the URL with urls.py"
    case .toLogin, .login: "answer 401 where nobody is logged in, as DRF's IsAuthenticated does"
    }
  }

  /// The same for a view that gets signed questions, which have no cookie.
  var hintToView: String {
    switch self {
    case .csrf: "decorate the view with @csrf_exempt: what it is asked is signed"
    case .login, .toLogin: "let no login stand before this view: what it is asked is signed"
    case .disallowedHost, .missingSlash, .toHTTPS, .raised, .notFound: hint
    }
  }

  /// Whether a page for 400 says itself that the host is the reason, as that of `DEBUG = True` does.
  static func namesHost(_ answer: UpstreamFetcher.Answer) -> Bool {
    answer.body?.rawBytes.range(of: "DisallowedHost") != nil
  }

  var isOfHost: Bool { if case .disallowedHost = self { true } else { false } }
}
