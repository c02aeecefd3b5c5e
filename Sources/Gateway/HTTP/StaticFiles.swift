import Bytes
import Glibc
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOPosix
import Sessions
import Transport
import WebSocketCore

/// Serves the files below one directory, through Hummingbird's file middleware (types, ETag, ranges, conditions).
///
/// Nothing outside the directory is ever served: no `..`, no hidden file except below `.well-known`, and no symbolic link that
/// leads out.
struct StaticFiles: Sendable {
  /// An absolute path.
  private let directory: String
  /// The file that is served in place of a missing one, for pages that route by path themselves; a path below the directory.
  private let fallback: String?
  private let log: Logger
  private let faults = SharedLogPace(most: 4)
  private let middleware: FileMiddleware<BasicRequestContext, ServedFiles>

  /// - Parameter memory: for parts of files that wait for their clients.
  init(directory: String, fallback: String? = nil, memory: MemoryBudget, log: Logger) {
    self.directory = directory
    self.fallback = fallback
    self.log = log
    var quiet = log
    // The middleware would log at every start, at our own level, which folder it serves.
    quiet.logLevel = .warning
    let files = LocalFileSystem(rootFolder: directory, threadPool: .singleton, logger: quiet)
    middleware = FileMiddleware(
      fileProvider: ServedFiles(files: files, memory: memory), searchForIndexHtml: true)
  }

  func respond(
    to request: Request, file: String, on channel: any Channel
  ) async throws(Refusal) -> HTTPResponder.Answer {
    guard let found = find(file) else { return .nothingThere }
    return try await respond(to: request, file, found, on: channel)
  }

  /// The answer if there is no file: the fallback, if the request is for a page.
  ///
  /// A browser that opens a page accepts `text/html`. Otherwise, a path that looks like a file is missing, and a WebSocket path
  /// is answered as such.
  func fallBack(
    on request: Request, file: String, besideWebSocket: Bool, on channel: any Channel
  ) async throws(Refusal) -> HTTPResponder.Answer {
    let name = file.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
    let isForPage = request.headers[.accept]?.lowercased().contains("text/html") == true
    guard let fallback, request.method == .get || request.method == .head,
      isForPage || !name.contains(".") && !besideWebSocket, let found = find(fallback)
    else { return .nothingThere }
    return try await respond(to: request, fallback, found, on: channel)
  }

  private func respond(
    to request: Request, _ file: String, _ found: Found, on channel: any Channel
  ) async throws(Refusal) -> HTTPResponder.Answer {
    guard request.method == .get || request.method == .head else { throw Refusal.onlyRead }
    let context = BasicRequestContext(source: ApplicationRequestContextSource(channel: channel, logger: log))
    do {
      var response = try await read(request, file, found, context)
      response.headers[.xContentTypeOptions] = "nosniff"
      // A changed page is seen at the next load; the ETag keeps that cheap.
      response.headers[.cacheControl] = "no-cache"
      // The middleware only knows the path below the route. The redirect of a folder without its slash must have the full path.
      if response.status == .movedPermanently {
        let target = request.head.path ?? "/"
        let path = target.prefix { $0 != "?" }
        response.headers[.location] = (path + "/").withOneLeadingSlash + target[path.endIndex...]
      }
      return .response(response)
    } catch let refusal as Refusal {
      throw refusal
    } catch let error as any HTTPResponseError {
      if error.status == .notFound { return .nothingThere }
      var refusal = Refusal.fileNotServed
      refusal.status = error.status.code
      throw refusal
    } catch {
      // A task is cancelled when its client has gone, which is no fault of the file, and nobody reads the answer.
      if !(error is CancellationError), !Task.isCancelled {
        log.log(
          "a file could not be read", at: .error, paced: faults, ["file": "\(file)", "error": "\(error)"])
      }
      throw Refusal.unreadableFile
    }
  }
}

// MARK: - Parts of files

extension StaticFiles {
  /// The middleware supports only ranges with a first and a last byte, so every range is converted to that form.
  private func read(_ request: Request, _ file: String, _ found: Found, _ context: BasicRequestContext)
    async throws -> Response
  {
    var head = request.head
    head.path = "/" + ServedFiles.disguised(file).percentEncodedPath
    if let conditions = Preconditions(takingFrom: &head.headerFields) {
      // Asks for the head only, so that no file is opened for an answer without a body.
      var probe = head
      probe.method = .head
      probe.headerFields[.range] = nil
      let now = try await ask(Request(head: probe, body: request.body), found, context)
      if let unchanged = try conditions.answer(now) { return typed(unchanged, file) }
    }
    let range = found.range(takingFrom: &head.headerFields, of: request.method)
    if case .part(let part) = range {
      head.headerFields[.range] = "bytes=\(part.lowerBound)-\(part.upperBound)"
    }
    var response = typed(try await ask(Request(head: head, body: request.body), found, context), file)
    // The tag was made before the file was opened. A part of a file that came in its place meanwhile must not be taken for a part
    // of the other one; a whole file under an old tag does no harm.
    if response.status == .partialContent, find(file) != found {
      head.headerFields[.range] = nil
      response = typed(try await ask(Request(head: head, body: request.body), found, context), file)
    }
    // Conditions take precedence over ranges (section 13.2.2).
    guard range == .unsatisfiable, response.status == .ok else { return response }
    var refusal = Refusal.noSuchRange
    refusal.fields.append(
      HeaderField(name: "Content-Range", value: "bytes */\(response.headers[.contentLength] ?? "0")"))
    throw refusal
  }

  /// The middleware's response with our own entity tag: the middleware's has the seconds of the modification only.
  private func ask(_ request: Request, _ found: Found, _ context: BasicRequestContext) async throws
    -> Response
  {
    var response = try await middleware.handle(request, context: context) { _, _ in throw HTTPError(.notFound)
    }
    if case .file(let version) = found, response.headers[.eTag] != nil {
      response.headers[.eTag] = version.eTag
    }
    return response
  }

  /// The response with the file's type from our own table.
  private func typed(_ response: Response, _ file: String) -> Response {
    guard response.status != .movedPermanently else { return response }
    var response = response
    let name = file.isEmpty || file.hasSuffix("/") ? "index.html" : file
    response.headers[.contentType] = MediaTypes.type(of: name, otherwise: response.headers[.contentType])
    return response
  }
}

extension Preconditions {
  /// - Parameter now: what the file's answer to HEAD is without conditions.
  /// - Returns: the answer without the file if the client has it already; nil if it gets the file.
  /// - Throws: `Refusal`, if it is not the file that the client expects.
  fileprivate func answer(_ now: Response) throws(Refusal) -> Response? {
    switch outcome(eTag: now.headers[.eTag], lastModified: now.headers[.lastModified]) {
    case .met: return nil
    case .failed: throw Refusal.otherFile
    case .notModified:
      guard now.status == .ok else { return nil }
      var headers = now.headers
      headers[.contentLength] = nil
      return Response(status: .notModified, headers: headers)
    }
  }
}

// MARK: - What is served

extension StaticFiles {
  private enum Found: Equatable {
    case folder
    case file(FileVersion)

    /// Takes the range of a request, and its condition, out of the fields. A range is defined for GET only (section 14.2).
    func range(takingFrom fields: inout HTTPFields, of method: HTTPRequest.Method) -> ByteRange {
      let (field, condition) = (fields[.range], fields[.ifRange])
      fields[.range] = nil
      fields[.ifRange] = nil
      guard let field, method == .get, case .file(let version) = self,
        condition.map(version.isNamed(by:)) ?? true
      else { return .notUnderstood }
      return ByteRange(field, size: version.size)
    }
  }

  /// The file, or the folder with an index page, after following all links; nil if it is outside of the directory, or does not
  /// exist.
  private func find(_ file: String) -> Found? {
    // The system has no longer paths, and splitting one would take long.
    guard file.utf8.count < PATH_MAX else { return nil }
    let components = file.split(separator: "/")
    for component in components where component.hasPrefix(".") && component != ".well-known" {
      return nil
    }
    guard !file.utf8.contains(0), !file.contains("\\") else { return nil }
    guard let found = locate(file) else { return nil }
    guard case .folder = found else { return found }
    guard case .file(let version)? = locate(file + "/index.html") else { return nil }
    return file.isEmpty || file.hasSuffix("/") ? .file(version) : .folder
  }

  private func locate(_ file: String) -> Found? {
    guard let root = Self.resolved(directory), let target = Self.resolved(directory + "/" + file),
      target == root || target.hasPrefix(root == "/" ? root : root + "/")
    else { return nil }
    var status = stat()
    guard unsafe stat(target, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return .folder
    // Anything else, such as a pipe, could block its reader forever.
    case S_IFREG: return .file(FileVersion(status))
    default: return nil
    }
  }

  private static func resolved(_ path: String) -> String? {
    guard let resolved = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }
}
