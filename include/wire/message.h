/* Everything that server and keeper say to each other. */
#ifndef WIRE_MESSAGE_H
#define WIRE_MESSAGE_H

#include "wire/batch.h"
#include "wire/delivery.h"
#include "wire/frame.h"
#include "wire/operation.h"
#include "wire/unlock.h"

#endif
