"""Numbers of running many scans. "Not measured" says that a number was set by reasoning and not by comparison."""

WORKER_BYTES = 3.5e9
"""Memory counted for one worker where their number is not given: what a knee CT of 512 x 512 x 250 voxels takes at most
(3 GB), and the worker itself."""

THREADS_OF_WORKER = 1
"""Threads of each local worker unless told otherwise: whole scans side by side never wait for each other. Not
measured."""

CONNECT_SECONDS = 10.0
"""A scheduler that has not answered by then is taken for missing. Not measured."""

WORKERS_SECONDS = 60.0
"""A scheduler that has had no worker for so long is given up; a cluster's queue may take longer to start one, and the
same command goes on later. Not measured."""

LOCAL_START_SECONDS = 120.0
"""Local workers that have not started by then never will: they only import Python packages. Not measured."""

POLL_SECONDS = 0.5
"""How often a run that waits asks whether it was cancelled and whether there are workers. Not measured."""

SUMMARY_SECONDS = 60.0
"""Summary and gallery are written anew at most so often while scans are at work: a thousand rows take a second. Not
measured."""

ALLOWED_DEATHS = 1
"""How often a scan may end its local worker and be given to another: a worker may end for want of memory that other
programs took, and a scan that ends two is at fault itself. Not measured."""

LONGEST_NAME = 80
"""Characters of a scan's name, which becomes a folder's: with all that stands around it less than the 255 bytes that
file systems take."""

THUMBNAIL_PICTURES = 2
"""Slices on a thumbnail: axial and coronal, which show sides exchanged and bones taken for each other."""
