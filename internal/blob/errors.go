package blob

// Error is a refusal a caller can branch on, by errors.Is with one of the values
// below. Code is the word the S3 API has for it (API Reference, "Error responses").
type Error struct {
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// ErrorCode and ErrorMessage have the form the AWS SDKs give their API errors, so
// that one reader serves both.
func (e *Error) ErrorCode() string    { return e.Code }
func (e *Error) ErrorMessage() string { return e.Message }

// Refusals of every Store.
var (
	ErrNoSuchBucket       = &Error{"NoSuchBucket", "The specified bucket does not exist"}
	ErrNoSuchKey          = &Error{"NoSuchKey", "The specified key does not exist."}
	ErrNoSuchUpload       = &Error{"NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."}
	ErrBucketExists       = &Error{"BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."}
	ErrBucketNotEmpty     = &Error{"BucketNotEmpty", "The bucket you tried to delete is not empty"}
	ErrPreconditionFailed = &Error{"PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
	ErrNotModified        = &Error{"NotModified", "Not Modified"}
	ErrInvalidRange       = &Error{"InvalidRange", "The requested range is not satisfiable"}
	ErrInvalidPart        = &Error{"InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."}
	ErrInvalidPartOrder   = &Error{"InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."}
	ErrInvalidPartNumber  = &Error{"InvalidPartNumber", "The requested partnumber is not satisfiable"}
	ErrInvalidArgument    = &Error{"InvalidArgument", "Invalid Argument"}
	ErrInvalidRequest     = &Error{"InvalidRequest", "The request is not valid."}
	ErrEntityTooSmall     = &Error{"EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"}
	ErrEntityTooLarge     = &Error{"EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"}
	ErrBadDigest          = &Error{"BadDigest", "The Content-MD5 or checksum value that you specified did not match what the server received."}
	ErrInvalidBucketName  = &Error{"InvalidBucketName", "The specified bucket is not valid."}
	ErrKeyTooLong         = &Error{"KeyTooLongError", "Your key is too long"}
	ErrInvalidKey         = &Error{"InvalidURI", "The object key is empty or is not valid UTF-8."}
)

// Errors gives every refusal by its code, for adapters that hear codes.
func Errors() map[string]*Error {
	all := []*Error{
		ErrNoSuchBucket, ErrNoSuchKey, ErrNoSuchUpload, ErrBucketExists, ErrBucketNotEmpty, ErrPreconditionFailed,
		ErrNotModified, ErrInvalidRange, ErrInvalidPart, ErrInvalidPartOrder, ErrInvalidPartNumber, ErrInvalidArgument,
		ErrInvalidRequest, ErrEntityTooSmall, ErrEntityTooLarge, ErrBadDigest, ErrInvalidBucketName, ErrKeyTooLong, ErrInvalidKey,
	}
	byCode := make(map[string]*Error, len(all))
	for _, e := range all {
		byCode[e.Code] = e
	}
	return byCode
}
