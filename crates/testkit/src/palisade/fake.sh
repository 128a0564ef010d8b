#!/bin/sh
# Started as `fake.sh run -c FILE`: FILE is the script to run.
. "$3"
