/*
 * The ground under the keyring: file systems that keep what was overwritten, or whose sync does
 * not reach a disk of ours. What cannot be seen from here (LVM, hypervisor and array snapshots,
 * flash translation) the manual has to say. tmpfs and ramfs pass: they keep nothing at all.
 */
#include "internal.h"

#include <errno.h>
#include <sys/vfs.h>

struct ground {
    uint32_t magic;
    const char *why;
};

static const struct ground refused[] = {
    { 0x9123683E, "btrfs copies on write" },
    { 0x2FC12FC1, "ZFS copies on write" },
    { 0xCA451A4E, "bcachefs copies on write" },
    { 0xF2F52010, "f2fs writes a log and keeps old blocks" },
    { 0x00003434, "NILFS2 writes a log and keeps snapshots" },
    { 0x24051905, "UBIFS writes a log and keeps old blocks" },
    { 0x000072B6, "JFFS2 writes a log and keeps old blocks" },
    { 0x794C7630, "overlayfs keeps a copy in the layer below" },
    { 0x61756673, "aufs keeps a copy in the layer below" },
    { 0x0000F15F, "eCryptfs stands on an unknown file system" },
    { 0x65735546, "FUSE stands on an unknown file system" },
    { 0x786F4256, "a folder shared by VirtualBox is not our disk" },
    { 0x01021997, "a folder shared over 9P is not our disk" },
    { 0x00006969, "NFS is a network file system" },
    { 0xFF534D42, "CIFS is a network file system" },
    { 0xFE534D42, "SMB2 is a network file system" },
    { 0x0000517B, "SMB is a network file system" },
    { 0x0000564C, "NCP is a network file system" },
    { 0x5346414F, "AFS is a network file system" },
    { 0x6B414653, "AFS is a network file system" },
    { 0x73757245, "Coda is a network file system" },
    { 0x00C36400, "Ceph is a network file system" },
    { 0x0BD00BD0, "Lustre is a network file system" },
    { 0x47504653, "GPFS is a network file system" },
    { 0x01161970, "GFS2 is a cluster file system" },
    { 0x7461636F, "OCFS2 is a cluster file system" },
};

status keyring_ground_check(const char *dir, struct err *e)
{
    struct statfs fs;
    uint32_t magic;

    if (statfs(dir, &fs) != 0)
        return errno == ENOENT ? fail(e, NOT_FOUND, "there is no such directory", errno)
                               : fail(e, IO, "cannot examine the file system", errno);
    magic = (uint32_t)fs.f_type;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (refused[i].magic == magic)
            return err_note(e, DENIED, __func__, refused[i].why, magic);
    }
    return OK;
}
