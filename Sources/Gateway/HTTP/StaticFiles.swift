import Glibc
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// Serves the files below one directory, through Hummingbird's file middleware (types, ETag, ranges, conditions).
///
/// Nothing outside the directory is ever served: no `..`, no hidden file but those below `.well-known`, and no symbolic
/// link that leads out.
struct StaticFiles: Sendable {
  /// Absolute.
  private let directory: String
  private let log: Logger
  private let middleware: FileMiddleware<BasicRequestContext, LocalFileSystem>

  init(directory: String, log: Logger) {
    self.directory = directory
    self.log = log
    var quiet = log
    // It would say at every start, at the level of our own lines, which folder it serves.
    quiet.logLevel = .warning
    middleware = FileMiddleware(directory, searchForIndexHtml: true, logger: quiet)
  }

  func respond(to request: Request, file: String, on channel: any Channel) async -> HTTPResponder.Answer {
    guard isServed(file) else { return .nothingThere }
    guard request.method == .get || request.method == .head else {
      var response = Response.plain(.methodNotAllowed, "A file can only be read: GET or HEAD.")
      response.headers[.allow] = "GET, HEAD"
      return .response(response)
    }
    let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: log))
    do {
      var response = try await middleware.handle(request.naming(file), context: context) { _, _ in
        throw HTTPError(.notFound)
      }
      response.headers[.xContentTypeOptions] = "nosniff"
      // A page that was changed is seen at the next load; the ETag keeps that cheap.
      response.headers[.cacheControl] = "no-cache"
      // The middleware only knows the path below the route; a folder without its slash is sent to where it was asked for.
      if response.status == .movedPermanently { response.headers[.location] = request.uri.path + "/" }
      return .response(response)
    } catch let error as any HTTPResponseError {
      return error.status == .notFound ? .nothingThere : .response(.plain(error.status, "Not served."))
    } catch {
      log.error("a file could not be read", metadata: ["file": "\(file)", "error": "\(error)"])
      return .response(.plain(.internalServerError, "The file could not be read."))
    }
  }

  /// Whether the path, once every link in it is followed, is a readable place inside the directory.
  private func isServed(_ file: String) -> Bool {
    let components = file.split(separator: "/")
    for component in components where component.hasPrefix(".") && component != ".well-known" {
      return false
    }
    guard !file.utf8.contains(0), !file.contains("\\") else { return false }
    guard let root = Self.resolved(directory), let target = Self.resolved(directory + "/" + file) else {
      return false
    }
    return target == root || target.hasPrefix(root + "/")
  }

  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}

extension Request {
  /// The same request for the file, which is given without percent encoding.
  fileprivate func naming(_ file: String) -> Request {
    var head = head
    head.path = "/" + file.percentEncodedPath
    return Request(head: head, body: body)
  }
}
