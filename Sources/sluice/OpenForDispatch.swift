import Glibc

/// Takes the place of the C library's `open` in this program, for the sake of one caller.
///
/// Dispatch looks once a second into `/proc/THREAD/stat` of its threads, to see whether they run or wait, and ends the process where it
/// cannot open that file. It cannot where there is no `/proc`, or no descriptor is left: neither is a reason to end. It goes on where only
/// the reading fails (`_dispatch_workq_count_runnable_workers` in libdispatch), so it is given a number that is no descriptor.
///
/// The function of C takes its third argument only with some flags. The calling conventions of Linux pass it in the same way as here, and
/// the system does not look at it without these flags.
@c(open)
func openForDispatch(_ path: UnsafePointer<CChar>?, _ flags: Int32, _ mode: mode_t) -> Int32 {
  guard let path = unsafe path else {
    errno = EFAULT
    return -1
  }
  let descriptor = unsafe openat(AT_FDCWD, path, flags, mode)
  guard descriptor < 0, unsafe isStatusOfThread(path) else { return descriptor }
  return Int32.max
}

/// `/proc/NUMBER/stat`
private func isStatusOfThread(_ path: UnsafePointer<CChar>) -> Bool {
  unsafe "/proc/".withCString { prefix in
    unsafe "/stat".withCString { suffix in
      let length = unsafe strlen(path)
      let (start, end) = unsafe (strlen(prefix), strlen(suffix))
      return unsafe length > start + end && strncmp(path, prefix, start) == 0
        && strcmp(path + (length - end), suffix) == 0
    }
  }
}
