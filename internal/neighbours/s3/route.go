package s3

import (
	"net/http"
	"net/url"
)

// operation is one S3 operation: its name, the IAM action it takes (Service
// Authorization Reference, "Amazon S3"), and what serves it. Without serve it is
// known and refused.
type operation struct {
	name   string
	action string
	serve  func(*call) error
	copies bool // reads another object too
}

var (
	listBuckets       = &operation{name: "ListBuckets", action: "ListAllMyBuckets", serve: (*call).listBuckets}
	createBucket      = &operation{name: "CreateBucket", action: "CreateBucket", serve: (*call).createBucket}
	deleteBucket      = &operation{name: "DeleteBucket", action: "DeleteBucket", serve: (*call).deleteBucket}
	headBucket        = &operation{name: "HeadBucket", action: "ListBucket", serve: (*call).headBucket}
	listObjects       = &operation{name: "ListObjects", action: "ListBucket", serve: (*call).listObjects}
	listObjectsV2     = &operation{name: "ListObjectsV2", action: "ListBucket", serve: (*call).listObjectsV2}
	deleteObjects     = &operation{name: "DeleteObjects", action: "DeleteObject", serve: (*call).deleteObjects}
	listUploads       = &operation{name: "ListMultipartUploads", action: "ListBucketMultipartUploads", serve: (*call).listUploads}
	postObject        = &operation{name: "PostObject", action: "PutObject"}
	getObject         = &operation{name: "GetObject", action: "GetObject", serve: (*call).getObject}
	headObject        = &operation{name: "HeadObject", action: "GetObject", serve: (*call).headObject}
	putObject         = &operation{name: "PutObject", action: "PutObject", serve: (*call).putObject}
	copyObject        = &operation{name: "CopyObject", action: "PutObject", serve: (*call).copyObject, copies: true}
	deleteObject      = &operation{name: "DeleteObject", action: "DeleteObject", serve: (*call).deleteObject}
	createUpload      = &operation{name: "CreateMultipartUpload", action: "PutObject", serve: (*call).createUpload}
	uploadPart        = &operation{name: "UploadPart", action: "PutObject", serve: (*call).uploadPart}
	uploadPartCopy    = &operation{name: "UploadPartCopy", action: "PutObject", serve: (*call).uploadPartCopy, copies: true}
	listParts         = &operation{name: "ListParts", action: "ListMultipartUploadParts", serve: (*call).listParts}
	completeUpload    = &operation{name: "CompleteMultipartUpload", action: "PutObject", serve: (*call).completeUpload}
	abortUpload       = &operation{name: "AbortMultipartUpload", action: "AbortMultipartUpload", serve: (*call).abortUpload}
	objectAttributes  = &operation{name: "GetObjectAttributes", action: "GetObject", serve: (*call).objectAttributes}
	objectTagging     = &operation{name: "GetObjectTagging", action: "GetObjectTagging", serve: (*call).objectTagging}
	objectACL         = &operation{name: "GetObjectAcl", action: "GetObjectAcl", serve: (*call).objectACL}
	objectLegalHold   = &operation{name: "GetObjectLegalHold", action: "GetObjectLegalHold", serve: noObjectLock}
	objectRetention   = &operation{name: "GetObjectRetention", action: "GetObjectRetention", serve: noObjectLock}
	bucketLocation    = &operation{name: "GetBucketLocation", action: "GetBucketLocation", serve: (*call).bucketLocation}
	bucketACL         = &operation{name: "GetBucketAcl", action: "GetBucketAcl", serve: (*call).bucketACL}
	bucketVersioning  = &operation{name: "GetBucketVersioning", action: "GetBucketVersioning", serve: emptyDocument("VersioningConfiguration")}
	bucketLogging     = &operation{name: "GetBucketLogging", action: "GetBucketLogging", serve: emptyDocument("BucketLoggingStatus")}
	bucketNotifies    = &operation{name: "GetBucketNotificationConfiguration", action: "GetBucketNotification", serve: emptyDocument("NotificationConfiguration")}
	bucketAccelerate  = &operation{name: "GetBucketAccelerateConfiguration", action: "GetAccelerateConfiguration", serve: emptyDocument("AccelerateConfiguration")}
	bucketPayment     = &operation{name: "GetBucketRequestPayment", action: "GetBucketRequestPayment", serve: (*call).bucketPayment}
	bucketPolicy      = &operation{name: "GetBucketPolicy", action: "GetBucketPolicy", serve: absent("NoSuchBucketPolicy", "The bucket policy does not exist")}
	bucketPolicyState = &operation{name: "GetBucketPolicyStatus", action: "GetBucketPolicyStatus", serve: absent("NoSuchBucketPolicy", "The bucket policy does not exist")}
	bucketTagging     = &operation{name: "GetBucketTagging", action: "GetBucketTagging", serve: absent("NoSuchTagSet", "The TagSet does not exist")}
	bucketLifecycle   = &operation{name: "GetBucketLifecycleConfiguration", action: "GetLifecycleConfiguration", serve: absent("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")}
	bucketCORS        = &operation{name: "GetBucketCors", action: "GetBucketCORS", serve: absent("NoSuchCORSConfiguration", "The CORS configuration does not exist")}
	bucketWebsite     = &operation{name: "GetBucketWebsite", action: "GetBucketWebsite", serve: absent("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")}
	bucketEncryption  = &operation{name: "GetBucketEncryption", action: "GetEncryptionConfiguration", serve: absent("ServerSideEncryptionConfigurationNotFoundError", "The server side encryption configuration was not found")}
	bucketReplication = &operation{name: "GetBucketReplication", action: "GetReplicationConfiguration", serve: absent("ReplicationConfigurationNotFoundError", "The replication configuration was not found")}
	bucketObjectLock  = &operation{name: "GetObjectLockConfiguration", action: "GetBucketObjectLockConfiguration", serve: absent("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")}
	bucketPublicBlock = &operation{name: "GetPublicAccessBlock", action: "GetBucketPublicAccessBlock", serve: absent("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")}
	bucketOwnership   = &operation{name: "GetBucketOwnershipControls", action: "GetBucketOwnershipControls", serve: absent("OwnershipControlsNotFoundError", "The bucket ownership controls were not found")}
)

// Reads of a part of a bucket's or object's configuration, by query parameter.
var (
	bucketReads = map[string]*operation{
		"location": bucketLocation, "acl": bucketACL, "versioning": bucketVersioning, "logging": bucketLogging, "notification": bucketNotifies,
		"accelerate": bucketAccelerate, "requestPayment": bucketPayment, "policy": bucketPolicy, "policyStatus": bucketPolicyState,
		"tagging": bucketTagging, "lifecycle": bucketLifecycle, "cors": bucketCORS, "website": bucketWebsite, "encryption": bucketEncryption,
		"replication": bucketReplication, "object-lock": bucketObjectLock, "publicAccessBlock": bucketPublicBlock,
		"ownershipControls": bucketOwnership, "uploads": listUploads,
	}
	objectReads = map[string]*operation{
		"uploadId": listParts, "attributes": objectAttributes, "tagging": objectTagging, "acl": objectACL,
		"legal-hold": objectLegalHold, "retention": objectRetention,
	}
)

// subresources are the query parameters that make a request another operation.
// One that no table above serves must be refused: PUT key?tagging is not a put.
var subresources = []string{
	"abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "location", "logging", "metadataConfiguration", "metadataTable", "metadataInventoryTable", "metadataJournalTable", "metrics",
	"notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication",
	"requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website",
}

// route finds the operation; nil when there is none.
func route(r *http.Request, bucket, key string) *operation {
	query := r.URL.Query()
	sub := ""
	for _, name := range subresources {
		if query.Has(name) {
			sub = name
			break
		}
	}
	switch {
	case bucket == "" && key != "":
		return nil
	case bucket == "":
		if r.Method == http.MethodGet && sub == "" {
			return listBuckets
		}
		return nil
	case key == "":
		return routeBucket(r, sub, query)
	}
	return routeObject(r, sub, query)
}

func routeBucket(r *http.Request, sub string, query url.Values) *operation {
	switch {
	case r.Method == http.MethodPost && sub == "delete":
		return deleteObjects
	case r.Method == http.MethodGet && bucketReads[sub] != nil:
		return bucketReads[sub]
	case sub != "":
		return refused(r.Method, sub)
	}
	switch r.Method {
	case http.MethodGet:
		if query.Get("list-type") == "2" {
			return listObjectsV2
		}
		return listObjects
	case http.MethodHead:
		return headBucket
	case http.MethodPut:
		return createBucket
	case http.MethodDelete:
		return deleteBucket
	case http.MethodPost:
		return postObject
	}
	return nil
}

func routeObject(r *http.Request, sub string, query url.Values) *operation {
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	switch {
	case r.Method == http.MethodGet && objectReads[sub] != nil:
		return objectReads[sub]
	case r.Method == http.MethodPost && sub == "uploads":
		return createUpload
	case r.Method == http.MethodPost && sub == "uploadId":
		return completeUpload
	case r.Method == http.MethodDelete && sub == "uploadId":
		return abortUpload
	case r.Method == http.MethodPut && sub == "uploadId" && query.Has("partNumber") && copies:
		return uploadPartCopy
	case r.Method == http.MethodPut && sub == "uploadId" && query.Has("partNumber"):
		return uploadPart
	case sub != "":
		return refused(r.Method, sub)
	}
	switch r.Method {
	case http.MethodGet:
		return getObject
	case http.MethodHead:
		return headObject
	case http.MethodPut:
		if copies {
			return copyObject
		}
		return putObject
	case http.MethodDelete:
		return deleteObject
	}
	return nil
}

// refused is an operation that is not built. Its action is one that only s3:*
// grants, so that those who may do everything hear NotImplemented and all others
// hear that they may not.
func refused(method, sub string) *operation {
	return &operation{name: method + " ?" + sub, action: "Unsupported"}
}
