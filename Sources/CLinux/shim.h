// What the reactor needs of Linux and Swift's Glibc module leaves out.
#pragma once
#include <errno.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc declares these only for programs that define _GNU_SOURCE before any other header.
extern int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);
extern long syscall(long number, ...);
extern int memfd_create(const char *name, unsigned flags);
extern int pipe2(int ends[2], int flags);

// The next signal that waits at a signalfd(2); 0 where none does.
static inline int take_signal(int descriptor) {
  struct signalfd_siginfo signal;
  return read(descriptor, &signal, sizeof signal) == sizeof signal ? (int)signal.ssi_signo : 0;
}

// Keeps all descriptors from a number on from the programs that the process executes: close_range(2) with CLOSE_RANGE_CLOEXEC, since
// Linux 5.11.
static inline int keep_descriptors(unsigned first) {
  return (int)syscall(436, first, ~0U, 4U);
}

// Starts a program by its descriptor as a child: execveat(2) with AT_EMPTY_PATH, which needs no /proc. The child gets the descriptors with the
// numbers 0, 1, 2 and so on, and no others; all have higher ones here. It leads a process group of its own, and is killed if the thread that has started
// it ends before. If memory is short, it is ended before anything else. Until it executes the program it uses the memory of this process, as in
// posix_spawn(3), so that no handler of a signal may run in it. Returns errno, or 0.
static inline __attribute__((noinline)) int start_program(
    int program, char *const *arguments, char *const *environment, const int *descriptors, int count,
    pid_t *child) {
  volatile int failure = 0;
  sigset_t signals, before;
  sigfillset(&signals);
  pthread_sigmask(SIG_SETMASK, &signals, &before);
  const pid_t started = vfork();
  if (started == 0) {
    for (int signal = 1; signal < NSIG; signal++) {
      struct sigaction standard = {.sa_handler = SIG_DFL};
      sigaction(signal, &standard, NULL);
    }
    for (int number = 0; number < count; number++) {
      if (dup2(descriptors[number], number) < 0) {
        failure = errno;
        _exit(127);
      }
    }
    // Also not those that libraries have opened without O_CLOEXEC. The table of descriptors is the child's own.
    keep_descriptors((unsigned)count);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Since Linux 4.8 this is the child's own, although it has the memory of its parent.
    // O_WRONLY and O_CLOEXEC, without their header: its types belong to Swift's own module.
    const int first = (int)syscall(SYS_openat, -100, "/proc/self/oom_score_adj", 02000001);
    if (first >= 0) {
      (void)!write(first, "1000", 4);
      close(first);
    }
    sigemptyset(&signals);
    pthread_sigmask(SIG_SETMASK, &signals, NULL);
    syscall(SYS_execveat, program, "", arguments, environment, 0x1000);
    failure = errno;
    _exit(127);
  }
  const int error = started < 0 ? errno : failure;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started > 0 && error != 0) waitpid(started, NULL, 0);
  *child = started;
  return error;
}

// memfd_create(2) and fcntl(2): the content of the file can be sealed, so that nobody changes it any more.
static const unsigned memory_file_flags = 0x0001 | 0x0002;
static inline int seal_memory_file(int descriptor) {
  // F_ADD_SEALS with SEAL, SHRINK, GROW and WRITE.
  return (int)syscall(SYS_fcntl, descriptor, 1024 + 9, 0x0001 | 0x0002 | 0x0004 | 0x0008);
}

// The two calls of each message. glibc's own are cancellation points and switch that on and off around every call, which is 45
// instructions; nobody cancels a reactor's thread.
static inline ssize_t socket_send(int descriptor, const void *bytes, size_t count, int flags) {
  return syscall(SYS_sendto, descriptor, bytes, count, flags, NULL, 0);
}

static inline ssize_t socket_receive(int descriptor, void *bytes, size_t count, int flags) {
  return syscall(SYS_recvfrom, descriptor, bytes, count, flags, NULL, NULL);
}

// Whether a socket has nothing to read, not even its peer's end, and has not failed.
static inline bool socket_is_quiet(int descriptor) {
  char byte;
  return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

// Opens a file if no part of its path, which begins with "/", is a symbolic link: openat2(2) with RESOLVE_NO_SYMLINKS. Written with
// numbers, because the kernel's header brings types that Swift's Glibc module has, too.
static inline int open_without_links(const char *path, int flags) {
  const unsigned long long how[3] = {(unsigned)flags, 0, 0x04};
  return (int)syscall(SYS_openat2, -1, path, how, sizeof how);
}

// The columns of a terminal; 0 where they are not known.
static inline int terminal_width(int descriptor) {
  struct winsize size = {0};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// The bytes that wait in the receive queue of a socket. Swift cannot call ioctl, which takes any number of arguments.
static inline int socket_unread(int descriptor) {
  int count = 0;
  return ioctl(descriptor, FIONREAD, &count) == 0 ? count : 0;
}
