import Glibc
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Transport

/// Serves the files below one directory, through Hummingbird's file middleware (types, ETag, parts, conditions).
///
/// Nothing outside the directory is ever served: no `..`, no hidden file but those below `.well-known`, and no symbolic
/// link that leads out.
struct StaticFiles: Sendable {
  /// Absolute.
  private let directory: String
  private let log: Logger
  private let middleware: FileMiddleware<BasicRequestContext, ServedFiles>

  /// - Parameter memory: for the parts of files that wait for their clients.
  init(directory: String, memory: MemoryBudget, log: Logger) {
    self.directory = directory
    self.log = log
    var quiet = log
    // It would say at every start, at the level of our own lines, which folder it serves.
    quiet.logLevel = .warning
    let files = LocalFileSystem(rootFolder: directory, threadPool: .singleton, logger: quiet)
    middleware = FileMiddleware(
      fileProvider: ServedFiles(files: files, memory: memory), searchForIndexHtml: true)
  }

  func respond(to request: Request, file: String, on channel: any Channel) async -> HTTPResponder.Answer {
    guard let found = find(file) else { return .nothingThere }
    guard request.method == .get || request.method == .head else {
      var response = Response.plain(.methodNotAllowed, "Use GET or HEAD to read a file.")
      response.headers[.allow] = "GET, HEAD"
      return .response(response)
    }
    let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: log))
    do {
      var response = try await read(request, file, found, context)
      response.headers[.xContentTypeOptions] = "nosniff"
      // A page that was changed is seen at the next load; the ETag keeps that cheap.
      response.headers[.cacheControl] = "no-cache"
      // The middleware only knows the path below the route; a folder without its slash is sent to where it was asked for.
      if response.status == .movedPermanently {
        response.headers[.location] = (request.uri.path + "/").withOneLeadingSlash
      }
      return .response(response)
    } catch is ServedFiles.NoMemory {
      var response = Response.plain(
        .serviceUnavailable, "Too many answers are waiting for slow clients; try again later.")
      response.headers[.retryAfter] = "5"
      return .response(response)
    } catch let error as any HTTPResponseError {
      return error.status == .notFound ? .nothingThere : .response(.plain(error.status, "Not served."))
    } catch {
      log.error("a file could not be read", metadata: ["file": "\(file)", "error": "\(error)"])
      return .response(.plain(.internalServerError, "The file could not be read."))
    }
  }
}

// MARK: - Parts of files

extension StaticFiles {
  /// The middleware takes ranges by their first and last byte only, so it is asked for nothing else.
  private func read(_ request: Request, _ file: String, _ found: Found, _ context: BasicRequestContext)
    async throws -> Response
  {
    var head = request.head
    head.path = "/" + ServedFiles.disguised(file).percentEncodedPath
    let field = head.headerFields[.range]
    head.headerFields[.range] = nil
    var isUnsatisfiable = false
    // A range has a meaning for GET only (section 14.2).
    if let field, request.method == .get, case .file(let size) = found {
      switch ByteRange(field, size: size) {
      case .part(let part): head.headerFields[.range] = "bytes=\(part.lowerBound)-\(part.upperBound)"
      case .unsatisfiable: isUnsatisfiable = true
      case .notUnderstood: break
      }
    }
    let whole = Request(head: head, body: request.body)
    let response = try await middleware.handle(whole, context: context) { _, _ in
      throw HTTPError(.notFound)
    }
    // Conditions come before ranges (section 13.2.2).
    guard isUnsatisfiable, response.status == .ok, Self.isOfThisFile(head.headerFields[.ifRange], response)
    else {
      return response
    }
    var refusal = Response.plain(.rangeNotSatisfiable, "The file does not have this range.")
    refusal.headers[.contentRange] = "bytes */\(response.headers[.contentLength] ?? "0")"
    return refusal
  }

  /// Whether `If-Range`, where there is one, names the file as it is now.
  private static func isOfThisFile(_ condition: String?, _ response: Response) -> Bool {
    guard let condition else { return true }
    return condition == response.headers[.eTag] || condition == response.headers[.lastModified]
  }
}

// MARK: - What is served

extension StaticFiles {
  private enum Found {
    case folder
    case file(size: Int)
  }

  /// The file, or the folder with a page that stands for it, once every link on the way is followed; nil where that is not
  /// inside the directory, or not there.
  private func find(_ file: String) -> Found? {
    let components = file.split(separator: "/")
    for component in components where component.hasPrefix(".") && component != ".well-known" {
      return nil
    }
    guard !file.utf8.contains(0), !file.contains("\\") else { return nil }
    guard let found = locate(file) else { return nil }
    guard case .folder = found else { return found }
    guard case .file(let size)? = locate(file + "/index.html") else { return nil }
    return file.isEmpty || file.hasSuffix("/") ? .file(size: size) : .folder
  }

  private func locate(_ file: String) -> Found? {
    guard let root = Self.resolved(directory), let target = Self.resolved(directory + "/" + file),
      target == root || target.hasPrefix(root == "/" ? root : root + "/")
    else { return nil }
    var status = stat()
    guard unsafe stat(target, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder
    // Anything else, a pipe for one, could keep its reader waiting for ever.
    case S_IFREG: return .file(size: Int(status.st_size))
    default: return nil
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}
